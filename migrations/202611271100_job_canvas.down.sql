ALTER TABLE job_outbox DROP COLUMN canvas;
