import Engine
import Postgres
import Runtime
import TableExport
import TestKit
import Testing

/// A definition against both catalogs: what is wrong is named with file, line and the SQL that mends it.
@Suite(.serialized) struct PlanTests {
    static let source = """
        CREATE TABLE event (id bigint PRIMARY KEY, kind text, amount numeric(12, 2), big bigint,
            at timestamptz NOT NULL, touched timestamptz NOT NULL, mark point);
        CREATE INDEX ON event (at, id)
        """
    static let target = """
        CREATE TABLE analytics_raw.event (id bigint PRIMARY KEY, kind text, amount numeric(12, 2), big bigint,
            at timestamptz NOT NULL, touched timestamptz, mark point);
        """
    static let yaml = """
        exports:
          - key: Event
            source:
              table: event
              cursor: {field: at, idField: id}
            destination:
              table: event
              conflictColumns: [id]
        """

    struct Wrong: Sendable, CustomTestStringConvertible {
        let name: String
        var sql = ""
        var sourceSQL = ""
        var yaml: @Sendable (String) -> String = { $0 }
        let message: String
        var mend = ""
        var testDescription: String { name }
    }

    static let wrongs: [Wrong] = [
        Wrong(
            name: "no source table",
            yaml: { $0.replacing("table: event\n      cursor", with: "table: events\n      cursor") },
            message: "exports.yaml:4: the source has no table \"public\".\"events\""
        ),
        Wrong(
            name: "no target schema",
            yaml: { $0.replacing("destination:\n", with: "destination:\n      schema: nowhere\n") },
            message: "exports.yaml:8: the target has no schema \"nowhere\"",
            mend: "CREATE SCHEMA \"nowhere\";"
        ),
        Wrong(
            name: "no cursor column",
            yaml: { $0.replacing("field: at", with: "field: nope") },
            message: "exports.yaml:5: the source \"public\".\"event\" has no column \"nope\" to be the cursor"
        ),
        Wrong(
            name: "cursor without an index",
            yaml: { $0.replacing("field: at", with: "field: touched") },
            message: "exports.yaml:5: the cursor \"touched\" of the source \"public\".\"event\" has no index",
            mend: "CREATE INDEX CONCURRENTLY ON \"public\".\"event\" (\"touched\", \"id\");"
        ),
        Wrong(
            name: "cursor of a type without an order we know",
            yaml: { $0.replacing("field: at", with: "field: kind") },
            message: "exports.yaml:5: the cursor \"kind\""
        ),
        Wrong(
            name: "no unique index",
            sql: "ALTER TABLE analytics_raw.event DROP CONSTRAINT event_pkey",
            message: "exports.yaml:8: the target \"analytics_raw\".\"event\" has no unique index on (\"id\")",
            mend: "CREATE UNIQUE INDEX CONCURRENTLY ON \"analytics_raw\".\"event\" (\"id\");"
        ),
        Wrong(
            name: "a partial unique index does not do",
            sql: "ALTER TABLE analytics_raw.event DROP CONSTRAINT event_pkey; "
                + "CREATE UNIQUE INDEX ON analytics_raw.event (id) WHERE kind IS NULL",
            message: "exports.yaml:8: the target \"analytics_raw\".\"event\" has no unique index on (\"id\")"
        ),
        Wrong(
            name: "column missing on the target",
            sql: "ALTER TABLE analytics_raw.event DROP COLUMN amount",
            message: "exports.yaml:4: the target \"analytics_raw\".\"event\" has no column \"amount\"",
            mend: "ALTER TABLE \"analytics_raw\".\"event\" ADD COLUMN \"amount\" numeric(12,2);"
        ),
        Wrong(
            name: "type that does not fit",
            sql: "ALTER TABLE analytics_raw.event ALTER COLUMN big TYPE integer",
            message: "exports.yaml:4: \"big\" is bigint in the source and integer on the target, which does not fit",
            mend: "ALTER TABLE \"analytics_raw\".\"event\" ALTER COLUMN \"big\" TYPE bigint;"
        ),
        Wrong(
            name: "numeric that would be rounded",
            sql: "ALTER TABLE analytics_raw.event ALTER COLUMN amount TYPE numeric(12, 1)",
            message: "exports.yaml:4: \"amount\" would be rounded"
        ),
        Wrong(
            name: "time that would be rounded",
            sql: "ALTER TABLE analytics_raw.event ALTER COLUMN touched TYPE timestamptz(3)",
            message: "exports.yaml:4: \"touched\" would be rounded",
            mend: "ALTER TABLE \"analytics_raw\".\"event\" ALTER COLUMN \"touched\" TYPE timestamptz;"
        ),
        Wrong(
            name: "time of another type that would be rounded",
            sql: "ALTER TABLE analytics_raw.event ALTER COLUMN touched TYPE timestamp(0)",
            message: "exports.yaml:4: \"touched\" would be rounded"
        ),
        Wrong(
            name: "times of an array that would be rounded",
            sql: "ALTER TABLE analytics_raw.event ADD COLUMN spans timestamp(3)[]",
            sourceSQL: "ALTER TABLE event ADD COLUMN spans timestamp[]",
            message: "exports.yaml:4: \"spans\" would be rounded"
        ),
        Wrong(
            name: "interval that would lose its seconds",
            sql: "ALTER TABLE analytics_raw.event ADD COLUMN took interval day to hour",
            sourceSQL: "ALTER TABLE event ADD COLUMN took interval",
            message: "exports.yaml:4: \"took\" would be rounded"
        ),
        Wrong(
            name: "whole number that would be rounded",
            sql: "ALTER TABLE analytics_raw.event ALTER COLUMN big TYPE numeric(20, -2)",
            message: "exports.yaml:4: \"big\" would be rounded"
        ),
        Wrong(
            name: "listed column missing in the source",
            yaml: { $0.replacing("    destination:", with: "      columns: [id, at, gone]\n    destination:") },
            message: "exports.yaml:6: the source \"public\".\"event\" has no column \"gone\""
        ),
        Wrong(
            name: "target column that nothing feeds",
            sql: "ALTER TABLE analytics_raw.event ADD COLUMN must int NOT NULL",
            message: "exports.yaml:7: the target's column \"must\" takes no NULL and nothing feeds it",
            mend: "ALTER TABLE \"analytics_raw\".\"event\" ALTER COLUMN \"must\" DROP NOT NULL;"
        ),
        Wrong(
            name: "expression that the source refuses",
            sql: "ALTER TABLE analytics_raw.event ADD COLUMN flag boolean",
            yaml: { $0 + "\n    transform:\n      columns: {flag: \"no_such_function(kind)\"}" },
            message: "exports.yaml:10: the source refuses the expression of \"flag\": function no_such_function(text)"
        ),
        Wrong(
            name: "skip that the source refuses",
            yaml: { $0 + "\n    transform:\n      skip: \"kind = 5 +\"" },
            message: "exports.yaml:10: the source refuses \"skip\":"
        ),
        Wrong(
            name: "lookback in ids for a time",
            yaml: { $0 + "\n    lookback: 500" },
            message: "exports.yaml:9: the cursor is a time"
        ),
        Wrong(
            name: "no column to mark",
            yaml: { $0 + "\n    deletes: mark:gone_at" },
            message: "exports.yaml:7: the target \"analytics_raw\".\"event\" has no column \"gone_at\" to mark",
            mend: "ALTER TABLE \"analytics_raw\".\"event\" ADD COLUMN \"gone_at\" timestamptz;"
        ),
    ]

    @Test(arguments: wrongs)
    func whatIsWrongIsNamedAndNothingIsWritten(wrong: Wrong) async throws {
        let rig = try await ExportRig(source: Self.source + ";" + wrong.sourceSQL, target: Self.target + wrong.sql)
        try rig.inSource("INSERT INTO event VALUES (1, 'a', 1, 1, now(), now(), NULL)")
        let job = try rig.job(wrong.yaml(Self.yaml))
        let error = await #expect(throws: TallyError.self) { try await rig.run(job) }
        #expect(error?.kind == .schemaMismatch)
        #expect(error?.summary.contains(wrong.message) == true, "\(error?.summary ?? "")")
        #expect(error?.remedy?.contains(wrong.mend) ?? wrong.mend.isEmpty, "\(error?.remedy ?? "")")
        #expect(try rig.inTarget("SELECT count(*) FROM analytics_raw.event") == "0\n")
        await rig.close()
    }

    /// The service replaced kept milliseconds: a definition may say that this is meant.
    @Test func aDeclaredCastMayRound() async throws {
        let rig = try await ExportRig(
            source: Self.source,
            target: Self.target + "ALTER TABLE analytics_raw.event ALTER COLUMN touched TYPE timestamptz(3)"
        )
        try rig.inSource("INSERT INTO event VALUES (1, 'a', 1, 1, now(), '2026-01-01 00:00:00.123456+00', NULL)")
        let yaml = Self.yaml + "\n    transform:\n      casts: {touched: timestamptz(3)}"
        #expect(try await rig.run(try rig.job(yaml)).counts["written"] == 1)
        let shown = try rig.inTarget("SET timezone = 'UTC'; SELECT touched FROM analytics_raw.event")
        #expect(shown == "2026-01-01 00:00:00.123+00\n")
        await rig.close()
    }

    @Test func theMendingSQLMends() async throws {
        let rig = try await ExportRig(
            source: Self.source,
            target: Self.target
                + "ALTER TABLE analytics_raw.event DROP COLUMN amount, DROP COLUMN kind, ALTER big TYPE int"
        )
        try rig.inSource("INSERT INTO event VALUES (1, 'a', 1, 1, now(), now(), '(1,2)')")
        let job = try rig.job(Self.yaml)
        var rounds = 0
        while rounds < 5 {
            do {
                #expect(try await rig.run(job).counts["written"] == 1)
                break
            } catch let error as TallyError where error.kind == .schemaMismatch {
                try rig.inTarget(try #require(error.remedy))
                rounds += 1
            }
        }
        #expect((1...2).contains(rounds), "every problem of a kind is named at once")
        await rig.close()
    }

    @Test func everyLackingPrivilegeIsNamedWithItsGrant() async throws {
        let rig = try await ExportRig(source: Self.source, target: Self.target)
        let role = "export_reader_\(rig.sourceURL.suffix(8))".replacing("-", with: "_")
        try rig.inSource("CREATE ROLE \(role) LOGIN")
        defer { _ = try? rig.inSource("DROP OWNED BY \(role); DROP ROLE \(role)") }
        try rig.inTarget("REVOKE TEMPORARY ON DATABASE \(rig.targetURL.split(separator: "/").last ?? "") FROM PUBLIC")
        try rig.inTarget("GRANT USAGE ON SCHEMA etl TO \(role); GRANT ALL ON ALL TABLES IN SCHEMA etl TO \(role)")
        let poor = rig.asRole(role)
        let job = try rig.job(Self.yaml, source: poor.source, target: poor.target)
        let expected = [
            "GRANT USAGE ON SCHEMA \"analytics_raw\" TO \(role);",
            "GRANT SELECT, INSERT, UPDATE ON \"analytics_raw\".\"event\" TO \(role);",
        ]
        let wanted = ["GRANT SELECT ON \"public\".\"event\" TO \(role);", "GRANT TEMPORARY ON DATABASE"]
        var remedies = ""
        for _ in 0..<4 {
            let error = await #expect(throws: TallyError.self) { try await job.check() }
            #expect(error?.kind == .permissionDenied, "\(error.map(String.init(reflecting:)) ?? "")")
            let remedy = error?.remedy ?? ""
            remedies += remedy
            for statement in remedy.split(separator: ";") where statement.contains("GRANT") {
                let isSource = statement.contains("public")
                _ = try isSource ? rig.inSource(String(statement)) : rig.inTarget(String(statement))
            }
            if remedy.contains("UPDATE") { break }
        }
        for grant in expected + wanted { #expect(remedies.contains(grant), "\(grant) in \(remedies)") }
        #expect(try await job.check().isEmpty, "with the grants that were named it fits")
        await poor.source.close()
        await poor.target.close()
        rig.inTargetQuietly("DROP OWNED BY \(role)")
        await rig.close()
    }
}
