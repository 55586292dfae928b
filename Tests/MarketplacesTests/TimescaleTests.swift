import Engine
import Foundation
import Marketplaces
import Postgres
import Runtime
import TestKit
import Testing

/// The branch of the migrations for TimescaleDB, which Debian does not package: a stand-in with the extension's
/// published signature holds the same rules as `create_hypertable` and records its calls. It cuts no chunks.
@Suite struct TimescaleTests {
    /// Makes a database say that the extension is installed.
    private static let standIn = """
        SET allow_system_table_mods = on;
        INSERT INTO pg_extension (oid, extname, extowner, extnamespace, extrelocatable, extversion)
            SELECT 90000001, 'timescaledb', (SELECT oid FROM pg_roles WHERE rolname = current_user),
                'public'::regnamespace, false, 'stand-in';
        CREATE TABLE public.hypertable_calls (id int GENERATED ALWAYS AS IDENTITY, relation text, dimension name,
            every interval, indexes boolean);
        CREATE FUNCTION public.create_hypertable(relation regclass, time_column_name name,
            partitioning_column name = NULL, number_partitions integer = NULL, associated_schema_name name = NULL,
            associated_table_prefix name = NULL, chunk_time_interval anyelement = NULL::bigint,
            create_default_indexes boolean = true, if_not_exists boolean = false, partitioning_func regproc = NULL,
            migrate_data boolean = false, chunk_target_size text = NULL, chunk_sizing_func regproc = NULL,
            time_partitioning_func regproc = NULL)
        RETURNS TABLE (hypertable_id int, schema_name name, table_name name, created boolean)
        LANGUAGE plpgsql AS $$
        #variable_conflict use_variable
        DECLARE
            filled boolean;
        BEGIN
            IF (SELECT relkind FROM pg_class WHERE oid = relation) <> 'r' THEN
                RAISE EXCEPTION 'table "%" is partitioned or no table', relation;
            END IF;
            IF EXISTS (SELECT FROM public.hypertable_calls c WHERE c.relation = create_hypertable.relation::text) THEN
                RAISE EXCEPTION 'table "%" is already a hypertable', relation;
            END IF;
            IF NOT EXISTS (SELECT FROM pg_attribute WHERE attrelid = create_hypertable.relation
                AND attname = time_column_name AND atttypid = 'timestamptz'::regtype) THEN
                RAISE EXCEPTION 'column "%" does not exist or is no time', time_column_name;
            END IF;
            EXECUTE format('SELECT EXISTS (SELECT FROM %s)', relation) INTO filled;
            IF filled AND NOT migrate_data THEN RAISE EXCEPTION 'table "%" is not empty', relation; END IF;
            IF EXISTS (SELECT FROM pg_index i WHERE i.indrelid = create_hypertable.relation AND i.indisunique
                AND NOT EXISTS (SELECT FROM pg_attribute a WHERE a.attrelid = i.indrelid
                    AND a.attname = time_column_name AND a.attnum = ANY (i.indkey))) THEN
                RAISE EXCEPTION 'cannot create a unique index without the column "%"', time_column_name;
            END IF;
            INSERT INTO public.hypertable_calls (relation, dimension, every, indexes)
                VALUES (relation::text, time_column_name, chunk_time_interval::text::interval,
                    create_default_indexes)
                RETURNING id, 'public', relation::text, true
                INTO hypertable_id, schema_name, table_name, created;
            RETURN NEXT;
        END $$;
        """

    private static func databaseWithExtension() throws -> String {
        let url = try TestPostgres.shared().freshDatabase()
        try TestPostgres.shared().psql(url, standIn)
        return url
    }

    @Test func bothTimeSeriesBecomeHypertables() async throws {
        let bench = try await PullBench(url: try Self.databaseWithExtension())
        let calls = try bench.psql("SELECT relation, dimension, every, indexes FROM hypertable_calls ORDER BY id")
        #expect(calls == "sales_ts|ts|1 mon|f\nfees_ts|ts|1 mon|f")
        let kinds = try bench.psql(
            "SELECT relname, relkind FROM pg_class WHERE relname IN ('sales_ts', 'fees_ts') ORDER BY 1"
        )
        #expect(kinds == "fees_ts|r\nsales_ts|r", "plain tables: chunks are the extension's")
        #expect(try bench.psql("SELECT count(*) FROM pg_inherits") == "0", "no months are made")
        let made = "SELECT marketplace.ensure_months('public.sales_ts', now(), now() + interval '1 year')"
        #expect(try bench.psql(made) == "0")
        // What TimescaleDB asks of every unique index of a hypertable.
        let indexes = try bench.psql(
            """
            SELECT count(*) FILTER (WHERE indexdef LIKE '% ts%'), count(*) FROM pg_indexes
            WHERE tablename IN ('sales_ts', 'fees_ts') AND indexdef LIKE 'CREATE UNIQUE%'
            """
        )
        #expect(indexes == "2|2")
        await bench.pool.close()
    }

    /// The same rows either way: nothing of a pull depends on how the time series are laid out.
    @Test func aPullFillsThemLikePartitions() async throws {
        let partitioned = try await PullBench()
        let hypertables = try await PullBench(url: try Self.databaseWithExtension())
        for bench in [partitioned, hypertables] {
            #expect(try await bench.run(bench.shopify()).state == .succeeded)
            #expect(try await bench.run(bench.amazon()).state == .succeeded)
        }
        #expect(try hypertables.tables() == partitioned.tables())
        #expect(try partitioned.psql("SELECT relkind FROM pg_class WHERE oid = 'sales_ts'::regclass") == "p")
        await partitioned.pool.close()
        await hypertables.pool.close()
    }

    /// Tables that are there already, hypertables of the service replaced among them, are not made over.
    @Test func tablesTakenOverAreNotMadeOver() async throws {
        let url = try Self.databaseWithExtension()
        try TestPostgres.shared().psql(
            url,
            """
            CREATE TABLE sales_ts (account_id text, marketplace text, country text, product_code text,
                ts timestamptz NOT NULL, units_sold integer, revenue numeric, margin numeric, cogs numeric,
                currency_code text, UNIQUE (account_id, marketplace, country, product_code, ts));
            SELECT create_hypertable('sales_ts', 'ts');
            INSERT INTO sales_ts VALUES ('acme', 'shopify', 'DE', 'old', '2020-01-01', 1, 5, NULL, NULL, 'EUR');
            """
        )
        let bench = try await PullBench(url: url)
        #expect(
            try bench.psql("SELECT string_agg(relation, ' ' ORDER BY id) FROM hypertable_calls") == "sales_ts fees_ts"
        )
        #expect(try bench.psql("SELECT revenue FROM sales_ts") == "5")
        await bench.pool.close()
    }
}
