-- migrate:up
-- What the last verification of a run that may write has left; NULL before the first.
ALTER TABLE etl.table_exports ADD COLUMN missing bigint, ADD COLUMN stale bigint, ADD COLUMN extra bigint,
    ADD COLUMN verified_at timestamptz;

-- migrate:down
ALTER TABLE etl.table_exports DROP COLUMN missing, DROP COLUMN stale, DROP COLUMN extra, DROP COLUMN verified_at;
