DROP FUNCTION apium_enqueue(text, jsonb, text, text, timestamptz);
DROP TABLE diag_counter;
DROP TABLE job_receipt;
DROP TABLE job_outbox;
