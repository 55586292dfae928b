import Engine
import Foundation
import Postgres
import Runtime
import TableExport
import TestKit
import Testing

/// Every type of PostgreSQL arrives as it was, in binary where both sides have it built in, else in text.
@Suite(.serialized) struct TypeTests {
    /// Column, type, values as SQL.
    static let builtIn: [(String, String, [String])] = [
        ("smallints", "smallint", ["-32768", "32767"]), ("ints", "integer", ["-2147483648", "2147483647"]),
        ("bigints", "bigint", ["-9223372036854775808", "9223372036854775807"]),
        (
            "numerics", "numeric",
            [
                "'NaN'", "'Infinity'", "'-Infinity'", "0.00", "1.10", "-1e-1000", "repeat('9', 3000)::numeric",
                "123456789012345678901234567890.123456789012345678901234567890",
            ]
        ),
        ("prices", "numeric(12,2)", ["9999999999.99", "-0.01"]),
        ("reals", "real", ["'NaN'", "'-Infinity'", "3.4028235e38", "1e-45", "'-0'"]),
        ("doubles", "double precision", ["'NaN'", "'Infinity'", "0.1", "5e-324", "1.7976931348623157e308", "'-0'"]),
        ("monies", "money", ["'92233720368547758.07'", "'-12.34'"]),
        (
            "texts", "text",
            ["''", "E'tab\\tline\\nback\\\\slash\\r\\x01'", "'\\N'", "'\\.'", "'Zażółć 🦀 ʼn'", "'NULL'"]
        ),
        ("varchars", "varchar(7)", ["'seven77'", "' pad '"]), ("chars", "char(5)", ["'ab'", "'     '"]),
        ("names", "name", ["'a name'"]), ("bytes", "\"char\"", ["'x'"]),
        ("byteas", "bytea", ["''", "decode('00ff5c0a0d09275c4e', 'hex')"]), ("booleans", "boolean", ["true", "false"]),
        (
            "dates", "date",
            ["'infinity'", "'-infinity'", "'4713-01-01 BC'", "'5874897-12-31'", "'2026-02-29'::date - 1"]
                .map { $0.replacing("'2026-02-29'::date - 1", with: "'2024-02-29'") }
        ),
        ("times", "time", ["'24:00'", "'23:59:59.999999'"]), ("timetzs", "timetz", ["'12:34:56.789+05:45'"]),
        (
            "timestamps", "timestamp",
            ["'infinity'", "'-infinity'", "'0044-03-15 BC'", "'294276-12-31 23:59:59.999999'"]
        ),
        ("timestamptzs", "timestamptz", ["'infinity'", "'-infinity'", "'2026-03-29 01:30:00.123456+02'"]),
        ("intervals", "interval", ["'1 year -2 days +03:04:05.678901'", "'-178000000 years'"]),
        ("uuids", "uuid", ["'00000000-0000-0000-0000-000000000000'", "gen_random_uuid()"]),
        ("inets", "inet", ["'192.168.0.1/24'", "'::ffff:1.2.3.4'"]),
        ("cidrs", "cidr", ["'10.0.0.0/8'", "'2001:db8::/32'"]),
        ("macs", "macaddr", ["'08:00:2b:01:02:03'"]), ("mac8s", "macaddr8", ["'08:00:2b:01:02:03:04:05'"]),
        ("bits", "bit(5)", ["B'10101'"]), ("varbits", "varbit", ["B''", "B'1011'"]),
        ("vectors", "tsvector", ["'a:1A fat:2 cat''s:3'"]), ("queries", "tsquery", ["'fat & (rat | !cat:*)'"]),
        ("jsons", "json", ["'{\"b\": 1,  \"a\": [1, null]}'"]),
        ("jsonbs", "jsonb", ["'{\"b\": 1.00, \"a\": \"\\u00e9\"}'", "'null'"]),
        ("paths", "jsonpath", ["'$.a[*] ? (@ > 3)'"]), ("xmls", "xml", ["'<a b=\"1\">x &amp; y</a>'"]),
        ("points", "point", ["'(1.5,-2)'"]), ("lines", "line", ["'{1,2,3}'"]),
        ("segments", "lseg", ["'[(0,0),(1,1)]'"]),
        ("boxes", "box", ["'(1,1),(0,0)'"]), ("polygons", "polygon", ["'((0,0),(1,0),(1,1))'"]),
        ("circles", "circle", ["'<(1,1),5>'"]),
        ("ranges", "int4range", ["'empty'", "'[1,10)'", "'(,5]'"]), ("numranges", "numrange", ["'[1.10,2.200]'"]),
        ("spans", "tstzrange", ["'[2026-01-01 00:00+00,infinity]'"]),
        ("multis", "datemultirange", ["'{[2026-01-01,2026-02-01)}'"]),
        ("oids", "oid", ["4294967295"]), ("lsns", "pg_lsn", ["'16/B374D848'"]),
        ("arrays", "int[]", ["'{}'", "'{1,NULL,3}'", "'[0:1][2:3]={{1,2},{3,4}}'"]),
        ("textarrays", "text[]", ["ARRAY['a,b', 'NULL', NULL, '', 'q\"uote']"]),
        ("stamps", "timestamptz[]", ["ARRAY[now()]"]),
    ]

    static let userSQL = """
        CREATE EXTENSION citext; CREATE EXTENSION hstore;
        CREATE TYPE public.mood AS ENUM ('sad', 'so, so', 'happy');
        CREATE DOMAIN public.percent AS numeric(5,2) CHECK (VALUE BETWEEN 0 AND 100);
        CREATE TYPE public.address AS (street text, no int, tags text[]);
        CREATE TYPE public.floatrange AS RANGE (subtype = float8);
        """
    static let user: [(String, String, [String])] = [
        ("moods", "mood", ["'happy'", "'so, so'"]), ("percents", "percent", ["99.90"]),
        ("addresses", "address", ["ROW('a \"q\", (x)', 7, ARRAY['t', NULL])::address"]),
        ("floats", "floatrange", ["'[0.1,0.2)'"]), ("moodarrays", "mood[]", ["ARRAY['sad', NULL]::mood[]"]),
        ("insensitive", "citext", ["'MiXed'"]), ("stores", "hstore", ["'a=>1, b=>NULL'"]),
        ("classes", "regclass", ["'pg_class'::regclass"]),
    ]

    static func tables(_ columns: [(String, String, [String])]) -> (create: String, insert: String) {
        let list = columns.map { "\($0.0) \($0.1)" }.joined(separator: ", ")
        let rows = columns.map { $0.2.count }.max() ?? 0
        let inserts = (0...rows).map { row -> String in
            let values = columns.map { row < $0.2.count ? $0.2[row] : "NULL" }
            return "INSERT INTO t VALUES (\(row + 1), now(), \(values.joined(separator: ", ")))"
        }
        return ("t (id int PRIMARY KEY, at timestamptz NOT NULL, \(list))", inserts.joined(separator: "; "))
    }

    /// A second server may have been built without libxml.
    static let everywhere = builtIn.filter {
        $0.0 != "xmls" || ProcessInfo.processInfo.environment["TEST_OTHER_POSTGRES_URL"] == nil
    }

    static let yaml = """
        exports:
          - key: T
            source: {table: t, cursor: {field: at, idField: id}}
            destination: {table: t, conflictColumns: [id]}
        """

    static func expectRoundTrip(
        _ columns: [(String, String, [String])],
        format: String,
        yaml: String = yaml,
        before: String = ""
    ) async throws {
        let (create, insert) = tables(columns)
        let rig = try await ExportRig(
            source: before + "CREATE TABLE \(create); CREATE INDEX ON t (at, id)",
            target: before + "CREATE TABLE analytics_raw.\(create)"
        )
        try rig.inSource(insert)
        var verify = RunOptions()
        verify.verify = true
        let first = try await rig.run(try rig.job(yaml), verify)
        #expect(first.details["format"]?.string == format)
        #expect(first.counts["missing"] == 0 && first.counts["stale"] == 0)
        let sql = "SELECT t::text FROM %@ t ORDER BY id"
        let settings = "SET timezone = 'UTC'; "
        func all(_ table: String) -> String { settings + sql.replacing("%@", with: table) }
        #expect(try rig.inSource(all("t")) == rig.inTarget(all("analytics_raw.t")))
        // Also through the staging table and its upsert.
        try rig.inTarget("DELETE FROM analytics_raw.t WHERE id = 1")
        var full = verify
        full.full = true
        let second = try await rig.run(try rig.job(yaml), full)
        #expect(second.counts["written"] == 1, "identical rows are left alone, of whatever type")
        #expect(try rig.inSource(all("t")) == rig.inTarget(all("analytics_raw.t")))
        await rig.close()
    }

    @Test func builtInTypesTravelInBinary() async throws {
        try await Self.expectRoundTrip(Self.everywhere, format: "binary")
    }

    @Test func builtInTypesTravelInTextToo() async throws {
        try await Self.expectRoundTrip(Self.everywhere, format: "text", yaml: Self.yaml + "\n    onError: quarantine")
    }

    @Test func typesOfUsersTravelInText() async throws {
        try await Self.expectRoundTrip(Self.user, format: "text", before: Self.userSQL)
    }

    @Test func widerTypesAreReachedWithoutLoss() async throws {
        let rig = try await ExportRig(
            source: """
                CREATE TABLE t (id int PRIMARY KEY, at date NOT NULL, n int, f real, j json, v varchar(3), d date,
                    i int);
                CREATE INDEX ON t (at, id);
                INSERT INTO t VALUES (1, '2026-01-02', 7, 1.5, '{"a": 1}', 'abc', '2026-01-02', 12)
                """,
            target: """
                CREATE TABLE analytics_raw.t (id bigint PRIMARY KEY, at timestamptz, n numeric, f double precision,
                    j jsonb, v text, d timestamp, i text)
                """
        )
        var verify = RunOptions()
        verify.verify = true
        try await rig.run(try rig.job(Self.yaml), verify)
        let row = try rig.inTarget("SET timezone = 'UTC'; SELECT * FROM analytics_raw.t")
        #expect(row == "1|2026-01-02 00:00:00+00|7|1.5|{\"a\": 1}|abc|2026-01-02 00:00:00|12\n")
        await rig.close()
    }

    /// `character` without a length means one character: a cast to it would cut and call it success.
    @Test func columnsOfFixedLengthKeepEveryCharacter() async throws {
        let rig = try await ExportRig(
            source: """
                CREATE TABLE t (id uuid PRIMARY KEY, at int NOT NULL, n int, b boolean); CREATE INDEX ON t (at, id);
                INSERT INTO t VALUES ('6ba7b810-9dad-11d1-80b4-00c04fd430c8', 1, 1234567, true)
                """,
            target: "CREATE TABLE analytics_raw.t (id char(36) PRIMARY KEY, at int, n char(10), b char(5))"
        )
        var verify = RunOptions()
        verify.verify = true
        try await rig.run(try rig.job(Self.yaml), verify)
        let row = try rig.inTarget("SELECT id, n, length(n), b FROM analytics_raw.t")
        #expect(row == "6ba7b810-9dad-11d1-80b4-00c04fd430c8|1234567   |7|true \n")
        await rig.close()
        let short = try await ExportRig(
            source: "CREATE TABLE t (id int PRIMARY KEY, at int NOT NULL); CREATE INDEX ON t (at, id); "
                + "INSERT INTO t VALUES (12345, 1)",
            target: "CREATE TABLE analytics_raw.t (id char(3) PRIMARY KEY, at int)"
        )
        let error = await #expect(throws: TallyError.self) { try await short.run(try short.job(Self.yaml)) }
        #expect(error?.kind.disposition != .retry, "what is too long is an error, and never cut")
        #expect(try short.inTarget("SELECT count(*) FROM analytics_raw.t") == "0\n")
        await short.close()
    }

    @Test func jsonToJSONBIsSaid() async throws {
        let rig = try await ExportRig(
            source: "CREATE TABLE t (id int PRIMARY KEY, at int NOT NULL, j json); CREATE INDEX ON t (at, id)",
            target: "CREATE TABLE analytics_raw.t (id int PRIMARY KEY, at int, j jsonb)"
        )
        func notices(_ yaml: String) async throws -> String {
            let summary = try await rig.run(try rig.job(yaml))
            return (summary.details["notices"]?.array ?? []).compactMap(\.string).joined()
        }
        #expect(try await notices(Self.yaml).contains("\"j\" is json in the source and jsonb on the target"))
        #expect(try await notices(Self.yaml + "\n    transform: {casts: {j: jsonb}}").isEmpty)
        await rig.close()
    }

    /// Positions as text are what the server itself writes, over the whole range of each type.
    @Test(arguments: ["timestamp", "timestamptz", "date"])
    func cursorsKeepEveryDigitOverTheirWholeRange(type: String) async throws {
        let values = [
            "-infinity", "4713-01-01 BC", "0001-01-01", "1582-10-15", "1999-12-31 23:59:59.999999", "2000-01-01",
            "2026-03-29 01:00:00.000001", "9999-12-31", "infinity",
        ]
        let rig = try await ExportRig(
            source: "CREATE TABLE t (id int PRIMARY KEY, at \(type)); CREATE INDEX ON t (at, id)",
            target: "CREATE TABLE analytics_raw.t (id int PRIMARY KEY, at \(type))"
        )
        for (index, value) in values.enumerated() {
            try rig.inSource("SET timezone = 'UTC'; INSERT INTO t VALUES (\(index), '\(value)')")
            let summary = try await rig.run(try rig.job(Self.yaml, lookback: .seconds(0)))
            #expect(summary.counts["written"] == 1)
            #expect(ExportRig.fresh(summary) == 1, "\(value) is neither read again nor passed over")
        }
        await rig.close()
    }
}
