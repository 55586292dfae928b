-- migrate:up
CREATE TABLE etl.table_exports (
    key text PRIMARY KEY,
    column_names text[] NOT NULL,
    column_types text[] NOT NULL,
    compared_at timestamptz
);

-- migrate:down
DROP TABLE etl.table_exports;
