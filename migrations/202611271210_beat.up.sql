-- Periodic schedules (common/beat/): what is planned, what became of each planned time, who leads.
CREATE TABLE beat_schedule (
    id                uuid        CONSTRAINT beat_schedule_pkey PRIMARY KEY DEFAULT gen_random_uuid(),
    name              text        NOT NULL CONSTRAINT beat_schedule_name_key UNIQUE CHECK (name <> ''),
    task              text        NOT NULL,
    kwargs            jsonb       NOT NULL DEFAULT '{}' CHECK (jsonb_typeof(kwargs) = 'object'),
    queue             text,       -- NULL: what the task's declaration says
    crontab           text,       -- minute, hour, day of the month, month, day of the week; or:
    every             integer     CHECK (every > 0), -- seconds, counted from the anchor
    anchor            timestamptz NOT NULL DEFAULT date_trunc('second', clock_timestamp()),
    zone              text        NOT NULL DEFAULT 'UTC',
    missed            text        NOT NULL DEFAULT 'one' CHECK (missed IN ('skip', 'one', 'all')),
    starting_deadline integer     NOT NULL DEFAULT 86400 CHECK (starting_deadline >= 0), -- seconds; 0: none
    overlap           text        NOT NULL DEFAULT 'allow' CHECK (overlap IN ('allow', 'skip')),
    is_paused         boolean     NOT NULL DEFAULT false,
    is_declared       boolean     NOT NULL DEFAULT false, -- in a program's code, which changes it
    next_at           timestamptz, -- NULL: to be worked out
    decided_until     timestamptz, -- planned times up to here are decided
    last_job          uuid,
    created_at        timestamptz NOT NULL DEFAULT clock_timestamp(),
    updated_at        timestamptz NOT NULL DEFAULT clock_timestamp(),
    CONSTRAINT beat_schedule_when_check CHECK ((crontab IS NULL) <> (every IS NULL))
);

-- A planned time that was decided.  Its id follows from the schedule and the time, and is the job's as well.
CREATE TABLE beat_tick (
    id          uuid        CONSTRAINT beat_tick_pkey PRIMARY KEY,
    schedule_id uuid        NOT NULL REFERENCES beat_schedule (id) ON DELETE CASCADE,
    planned_at  timestamptz NOT NULL,
    decided_at  timestamptz NOT NULL DEFAULT clock_timestamp(),
    outcome     text        NOT NULL CHECK (outcome IN ('run', 'missed', 'overlap', 'refused', 'asked')),
    times       integer     NOT NULL DEFAULT 1, -- missed: how many planned times this row stands for
    note        text,       -- refused: why
    CONSTRAINT beat_tick_schedule_id_planned_at_key UNIQUE (schedule_id, planned_at)
);

-- One row: the lease of who leads, by this server's clock.
CREATE TABLE beat_leader (
    id     smallint    PRIMARY KEY DEFAULT 1 CHECK (id = 1),
    holder text        NOT NULL,
    term   bigint      NOT NULL, -- grows with each change of the holder
    hold   interval    NOT NULL,
    until  timestamptz NOT NULL
);
