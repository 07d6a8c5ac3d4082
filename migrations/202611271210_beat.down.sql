DROP TABLE beat_leader;
DROP TABLE beat_tick;
DROP TABLE beat_schedule;
