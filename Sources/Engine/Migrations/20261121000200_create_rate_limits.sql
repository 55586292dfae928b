-- migrate:up
-- Token buckets that replicas share; tokens below zero are places in the queue.
CREATE TABLE etl.rate_limits (
    bucket text PRIMARY KEY,
    rate double precision NOT NULL CHECK (rate > 0),
    burst double precision NOT NULL CHECK (burst > 0),
    tokens double precision NOT NULL,
    blocked_until timestamptz NOT NULL DEFAULT '-infinity',
    updated_at timestamptz NOT NULL DEFAULT clock_timestamp()
);

-- migrate:down
DROP TABLE etl.rate_limits;
