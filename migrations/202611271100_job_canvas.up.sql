-- A job's place in a canvas (chain, group, chord): what its message says beyond the other columns.
ALTER TABLE job_outbox ADD COLUMN canvas json; -- NULL: none
