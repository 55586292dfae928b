-- migrate:up
-- What the position was reached with: source, cursor, id and destination; NULL before the first run that keeps it.
ALTER TABLE etl.table_exports ADD COLUMN source_table text, ADD COLUMN cursor_field text, ADD COLUMN id_field text,
    ADD COLUMN target_table text;

-- migrate:down
ALTER TABLE etl.table_exports DROP COLUMN source_table, DROP COLUMN cursor_field, DROP COLUMN id_field,
    DROP COLUMN target_table;
