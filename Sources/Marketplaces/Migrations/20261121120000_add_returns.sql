-- migrate:up
-- What came back of a line, as returns tell and no refund does. Lines stored before hold none: the next reading of an
-- order fills it in.
ALTER TABLE marketplace.order_lines
    ADD COLUMN units_returned bigint NOT NULL DEFAULT 0,
    ADD COLUMN returned numeric NOT NULL DEFAULT 0;

-- migrate:down
ALTER TABLE marketplace.order_lines DROP COLUMN units_returned, DROP COLUMN returned;
