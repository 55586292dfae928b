-- migrate:up
CREATE SCHEMA IF NOT EXISTS etl;

CREATE TABLE etl.runs (
    id uuid PRIMARY KEY,
    job text NOT NULL,
    trigger text NOT NULL CHECK (trigger IN ('schedule', 'api', 'cli')),
    requested_by text NOT NULL,
    dry_run boolean NOT NULL,
    options jsonb NOT NULL DEFAULT '{}',
    state text NOT NULL CHECK (state IN
        ('queued', 'running', 'succeeded', 'partial', 'failed', 'cancelled', 'interrupted', 'skipped')),
    holder text NOT NULL,
    fence bigint,
    queued_at timestamptz NOT NULL DEFAULT clock_timestamp(),
    started_at timestamptz,
    finished_at timestamptz,
    heartbeat_at timestamptz,
    cancel_requested_by text,
    progress jsonb,
    summary jsonb,
    error jsonb
);
CREATE INDEX runs_newest ON etl.runs (queued_at DESC, id);
CREATE INDEX runs_of_job ON etl.runs (job, queued_at DESC, id);

CREATE TABLE etl.leases (
    name text PRIMARY KEY,
    holder text NOT NULL,
    run_id uuid,
    fence bigint NOT NULL,
    expires_at timestamptz NOT NULL
);

CREATE TABLE etl.fences (
    job text PRIMARY KEY,
    fence bigint NOT NULL,
    touched_at timestamptz NOT NULL DEFAULT clock_timestamp()
);

CREATE TABLE etl.dead_letters (
    id bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
    job text NOT NULL,
    key text NOT NULL,
    kind text NOT NULL,
    reason text NOT NULL,
    columns text[] NOT NULL DEFAULT '{}',
    fingerprint bytea,
    run_id uuid NOT NULL,
    occurrences bigint NOT NULL DEFAULT 1,
    first_seen_at timestamptz NOT NULL DEFAULT clock_timestamp(),
    last_seen_at timestamptz NOT NULL DEFAULT clock_timestamp(),
    resolved_at timestamptz,
    resolution text
);
CREATE UNIQUE INDEX dead_letters_open ON etl.dead_letters (job, key) WHERE resolved_at IS NULL;

CREATE TABLE etl.watermarks (
    source text NOT NULL,
    "table" text NOT NULL,
    account_id text NOT NULL,
    scope text NOT NULL DEFAULT '',
    cursor_ts timestamptz,
    cursor_value text,
    cursor_id text,
    snapshot text,
    updated_at timestamptz NOT NULL DEFAULT clock_timestamp(),
    PRIMARY KEY (source, "table", account_id, scope)
);

CREATE TABLE etl.scheduler (
    id boolean PRIMARY KEY DEFAULT true CHECK (id),
    enabled boolean NOT NULL,
    changed_by text NOT NULL,
    changed_at timestamptz NOT NULL DEFAULT clock_timestamp()
);

CREATE TABLE etl.fires (
    job text NOT NULL,
    instant timestamptz NOT NULL,
    run_id uuid,
    fired_at timestamptz NOT NULL DEFAULT clock_timestamp(),
    PRIMARY KEY (job, instant)
);

-- migrate:down
DROP TABLE etl.fires, etl.scheduler, etl.watermarks, etl.dead_letters, etl.fences, etl.leases, etl.runs;
