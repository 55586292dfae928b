-- migrate:up
-- A run cut into shards: the cut is computed once and stored, so that every shard sees the same.
ALTER TABLE etl.runs
    -- The run that this one is a part of.
    ADD COLUMN part_of uuid,
    -- Carried by the processes of its parts, not by one of its own.
    ADD COLUMN in_parts boolean NOT NULL DEFAULT false,
    ADD COLUMN cut jsonb;
CREATE INDEX runs_cut ON etl.runs (job, queued_at DESC, id DESC) WHERE cut IS NOT NULL;

CREATE TABLE etl.shards (
    run_id uuid NOT NULL,
    shard int NOT NULL CHECK (shard >= 0),
    -- Half-open: from the lower bound on, up to but without the upper one; an absent side is open.
    lower_bound jsonb,
    upper_bound jsonb,
    state text NOT NULL DEFAULT 'waiting' CHECK (state IN ('waiting', 'running', 'done')),
    attempts int NOT NULL DEFAULT 0,
    -- The newest run of the shard, in whose row its lease, fence and progress are; NULL inside one process.
    part_run uuid,
    fence bigint,
    progress jsonb,
    progress_at timestamptz,
    counts jsonb,
    details jsonb,
    dead_letters bigint NOT NULL DEFAULT 0,
    -- What only the end of the whole may act on, such as keys of orphans.
    remainder bytea,
    started_at timestamptz,
    finished_at timestamptz,
    PRIMARY KEY (run_id, shard)
);

-- migrate:down
DROP TABLE etl.shards;
DROP INDEX etl.runs_cut;
ALTER TABLE etl.runs DROP COLUMN part_of, DROP COLUMN in_parts, DROP COLUMN cut;
