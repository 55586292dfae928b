-- migrate:up
ALTER TABLE etl.runs
    ADD COLUMN attempt int NOT NULL DEFAULT 1,
    ADD COLUMN resumed_from uuid;
CREATE INDEX runs_active ON etl.runs (heartbeat_at) WHERE state IN ('queued', 'running');
CREATE INDEX runs_in_state ON etl.runs (state, queued_at DESC, id);
CREATE INDEX runs_succeeded ON etl.runs (job, queued_at DESC, id) WHERE state = 'succeeded' AND NOT dry_run;
CREATE INDEX runs_heard_of ON etl.runs (heartbeat_at);
CREATE INDEX runs_ended ON etl.runs (finished_at) WHERE finished_at IS NOT NULL;

ALTER TABLE etl.dead_letters ADD COLUMN payload jsonb;

ALTER TABLE etl.fires
    ADD COLUMN outcome text NOT NULL DEFAULT 'started'
        CHECK (outcome IN ('due', 'waiting', 'started', 'skipped', 'baseline'));
CREATE INDEX fires_open ON etl.fires (job, instant) WHERE outcome IN ('due', 'waiting');

CREATE TABLE etl.schedules (
    job text PRIMARY KEY,
    paused boolean NOT NULL,
    changed_by text NOT NULL,
    changed_at timestamptz NOT NULL DEFAULT clock_timestamp()
);

CREATE TABLE etl.idempotency_keys (
    caller text NOT NULL,
    key text NOT NULL,
    request_hash bytea NOT NULL,
    run_id uuid NOT NULL,
    created_at timestamptz NOT NULL DEFAULT clock_timestamp(),
    PRIMARY KEY (caller, key)
);
CREATE INDEX idempotency_keys_age ON etl.idempotency_keys (created_at);

CREATE TABLE etl.notices (
    job text NOT NULL,
    subject text NOT NULL,
    state text NOT NULL,
    sent_at timestamptz NOT NULL DEFAULT clock_timestamp(),
    PRIMARY KEY (job, subject)
);

-- migrate:down
DROP TABLE etl.notices, etl.idempotency_keys, etl.schedules;
ALTER TABLE etl.fires DROP COLUMN outcome;
ALTER TABLE etl.dead_letters DROP COLUMN payload;
DROP INDEX etl.runs_active, etl.runs_in_state, etl.runs_succeeded, etl.runs_heard_of, etl.runs_ended;
ALTER TABLE etl.runs DROP COLUMN attempt, DROP COLUMN resumed_from;
