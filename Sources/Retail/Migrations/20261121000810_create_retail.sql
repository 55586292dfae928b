-- migrate:up
CREATE SCHEMA IF NOT EXISTS silver;
CREATE SCHEMA IF NOT EXISTS meta;

-- Warehouses of the service replaced have these tables already: they are taken over as they are.
CREATE TABLE IF NOT EXISTS silver.products (
    product_sku text PRIMARY KEY,
    description text,
    unit_amount numeric,
    supplier text,
    _ingestion_ts timestamptz,
    _batch_id uuid
);

CREATE TABLE IF NOT EXISTS silver.customers (
    customer_id text PRIMARY KEY,
    emails text[],
    phone_numbers text[],
    _ingestion_ts timestamptz,
    _batch_id uuid
);

CREATE TABLE IF NOT EXISTS silver.sales_customer (
    id bigint PRIMARY KEY,
    datetime timestamptz,
    total_amount numeric,
    customer_id text,
    _ingestion_ts timestamptz,
    _batch_id uuid
);
-- How many lines the sale has: lines beyond it are gone from the source.
ALTER TABLE silver.sales_customer ADD COLUMN IF NOT EXISTS _line_count integer;

CREATE TABLE IF NOT EXISTS silver.sales_product (
    sale_id bigint NOT NULL,
    line_no integer NOT NULL,
    product_sku text,
    quantity integer,
    amount numeric,
    _ingestion_ts timestamptz,
    _batch_id uuid,
    PRIMARY KEY (sale_id, line_no)
);

CREATE TABLE IF NOT EXISTS meta.ingestion_state (
    source_name text PRIMARY KEY,
    last_sales_id bigint,
    last_run_ts timestamptz,
    note text
);

CREATE TABLE meta.bronze_files (
    id bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
    entity text NOT NULL CHECK (entity IN ('customers', 'products', 'sales_customer', 'sales_product')),
    -- Below BRONZE_DIR.
    path text NOT NULL UNIQUE,
    -- The day of its partition, in UTC.
    day date NOT NULL,
    records bigint NOT NULL,
    -- Of the file as it stands, compressed or not, as is the digest.
    bytes bigint NOT NULL,
    sha256 bytea NOT NULL,
    first_id text,
    last_id text,
    batch_id uuid NOT NULL,
    -- Found whole in its place without a line here, and taken in.
    adopted boolean NOT NULL DEFAULT false,
    created_at timestamptz NOT NULL DEFAULT clock_timestamp(),
    loaded_at timestamptz,
    loaded_by uuid,
    rows_written bigint,
    bad_lines bigint,
    removed_at timestamptz
);
CREATE INDEX bronze_files_unloaded ON meta.bronze_files (id) WHERE loaded_at IS NULL AND removed_at IS NULL;

-- migrate:down
-- The tables of silver and meta.ingestion_state may be older than we: they stay.
DROP TABLE meta.bronze_files;
