import Foundation
import TestKit
import Testing

/// Table exports through the built binary: definitions in a folder, runs by key, all at once, killed anywhere.
@Suite(.serialized) struct ExportCommandTests {
    /// A folder of configuration and two databases.
    struct Shop {
        let folder: URL
        let settings: [String: String]
        let core: String
        let analytics: String
        let postgres: TestPostgres

        init(yaml: String = ExportCommandTests.yaml) throws {
            postgres = try TestPostgres.shared()
            core = try postgres.freshDatabase()
            analytics = try postgres.freshDatabase()
            folder = FileManager.default.temporaryDirectory.appending(path: TestTag.fresh("exports"))
            try FileManager.default.createDirectory(at: folder, withIntermediateDirectories: true)
            try Data(yaml.utf8).write(to: folder.appending(path: "exports.yaml"))
            settings = [
                "DATABASE_URL_CORE": core, "DATABASE_URL_ANALYTICS": analytics, "CONFIG_DIR": folder.path,
                "MIGRATIONS_DIR": folder.appending(path: "migrations").path,
            ]
            try postgres.psql(
                core,
                """
                CREATE TABLE stat_event (id bigint PRIMARY KEY, source text, source_id int,
                    updated_at timestamptz NOT NULL);
                CREATE INDEX ON stat_event (updated_at, id);
                INSERT INTO stat_event SELECT i, CASE i % 2 WHEN 0 THEN 'widget' ELSE 'page' END, nullif(i % 10, 0),
                    now() - interval '1 d' + i * interval '1 s' FROM generate_series(1, 1000) i;
                CREATE TABLE customer (id uuid PRIMARY KEY, updated_at timestamptz NOT NULL);
                CREATE INDEX ON customer (updated_at);
                INSERT INTO customer SELECT gen_random_uuid(), now() FROM generate_series(1, 10)
                """
            )
            try postgres.psql(
                analytics,
                """
                CREATE SCHEMA analytics_raw;
                CREATE TABLE analytics_raw.stat_event (id bigint PRIMARY KEY, kind text, source_id int,
                    updated_at timestamptz, is_widget boolean);
                CREATE TABLE analytics_raw.customer (id uuid PRIMARY KEY, updated_at timestamptz)
                """
            )
        }

        func run(_ arguments: [String], _ more: [String: String] = [:]) throws -> CommandLineTests.Answer {
            try CommandLineTests.run(arguments, settings.merging(more) { $1 })
        }

        func count(_ table: String) throws -> String {
            try postgres.psql(analytics, "SELECT count(*) FROM analytics_raw.\(table)")
        }
    }

    static let yaml = """
        exports:
          - key: StatEvent
            schedule: "*/10 * * * *"
            source:
              table: stat_event
              cursor: {field: updated_at, idField: id}
            destination: {table: stat_event, conflictColumns: [id]}
            transform:
              rename: {source: kind}
              columns: {is_widget: "source = 'widget'"}
              skip: "source_id is null"
          - key: Customer
            source: {table: customer, cursor: {field: updated_at}}
            destination: {table: customer, conflictColumns: [id]}
        """

    @Test func theOldCommandLineWorks() throws {
        let shop = try Shop()
        #expect(try shop.run(["migrate", "up"]).status == 0)
        let dry = try shop.run(["run", "export-to-pg", "StatEvent", "--dry-run", "--json"])
        #expect(dry.status == 0, "\(dry.output) \(dry.errors)")
        #expect(dry.output.contains("\"read\":900"))
        #expect(try shop.count("stat_event") == "0\n")
        let one = try shop.run(["run", "export-to-pg", "StatEvent", "--batch-size", "100", "--json"])
        #expect(one.status == 0, "\(one.output) \(one.errors)")
        #expect(one.output.contains("\"batches\":9"))
        #expect(try shop.count("stat_event") == "900\n")
        #expect(try shop.count("customer") == "0\n")
        let all = try shop.run(["run", "export-to-pg", "--all", "--verify", "--json"])
        #expect(all.status == 0, "\(all.output) \(all.errors)")
        #expect(all.output.contains("export_to_pg.StatEvent") && all.output.contains("export_to_pg.Customer"))
        #expect(try shop.count("customer") == "10\n")
        let since = try shop.run(["run", "export-to-pg", "StatEvent", "--since", "2020-01-01", "--json"])
        #expect(since.output.contains("\"read\":900") && since.output.contains("\"written\":0"), "\(since.output)")
        let full = try shop.run(["run", "export-to-pg", "StatEvent", "--full", "--json"])
        #expect(full.output.contains("\"read\":900") && full.output.contains("\"written\":0"), "\(full.output)")
        let unknown = try shop.run(["run", "export-to-pg", "Nobody"])
        #expect(unknown.status != 0)
        #expect((unknown.output + unknown.errors).contains("export_to_pg.Customer"), "the known ones are named")
        #expect(try shop.run(["run", "export-to-pg", "StatEvent", "--date", "2026-01-01"]).status != 0)
    }

    @Test func definitionsAreSettings() throws {
        let shop = try Shop(yaml: Self.yaml.replacing("schedule: \"*/10 * * * *\"", with: "schedule: sometimes"))
        let answer = try shop.run(["jobs"])
        #expect(answer.status == 2)
        #expect(answer.errors.contains("CONFIG_DIR"))
        #expect(answer.errors.contains("exports.yaml:3: \"schedule\" must be a cron expression"))
    }

    @Test func theDoctorChecksEveryDefinition() throws {
        let shop = try Shop()
        #expect(try shop.run(["migrate", "up"]).status == 0)
        let good = try shop.run(["doctor"])
        #expect(good.status == 0, "\(good.output)")
        #expect(good.output.contains("export_to_pg.StatEvent: fits both catalogs"))
        #expect(good.output.contains("GRANT SELECT ON \"public\".\"stat_event\" TO <role>;"))
        #expect(good.output.contains("state database: ") && good.output.contains("takes leases"))
        #expect(!good.output.contains("All good.") && good.output.contains("No failure, "), "JWT_KEY is not set")
        try shop.postgres.psql(shop.core, "DROP INDEX stat_event_updated_at_id_idx")
        let bad = try shop.run(["doctor"])
        #expect(bad.status == 1)
        #expect(bad.output.contains("exports.yaml:6: the cursor \"updated_at\""))
        #expect(bad.output.contains("CREATE INDEX CONCURRENTLY ON \"public\".\"stat_event\" (\"updated_at\", \"id\");"))
    }

    @Test func theDaemonChecksDefinitionsWhenItStarts() throws {
        let shop = try Shop()
        #expect(try shop.run(["migrate", "up"]).status == 0)
        try shop.postgres.psql(shop.core, "DROP INDEX stat_event_updated_at_id_idx")
        let more = ["PORT": "0", "ENABLE_SCHEDULER": "false", "LOG_FORMAT": "json"]
        let daemon = try TallymanBinary.start(["serve"], shop.settings.merging(more) { $1 })
        let told = daemon.progress.waitBlocking(within: .seconds(60)) { progress in
            progress.exit != nil || (progress.errorText + progress.outputText).contains("a check at start failed")
        }
        #expect(told)
        let said = daemon.progress.value.errorText + daemon.progress.value.outputText
        #expect(said.contains("exports.yaml:6: the cursor"))
        #expect(daemon.progress.value.exit == nil, "it goes on")
        daemon.signal(SIGTERM)
        #expect(daemon.progress.waitBlocking(within: .seconds(60)) { $0.exit != nil })
        #expect(daemon.progress.value.exit == .code(0))
    }

    @Test(arguments: [
        "run.started", "export.planned", "export.snapshot", "export.beforeBatch:3", "write.afterFence:2",
        "write.beforeCommit:4", "write.afterCommit:4", "export.beforeFinish", "export.finished", "run.beforeFinish",
    ])
    func aKilledExportIsFinishedByTheNext(point: String) throws {
        let shop = try Shop()
        #expect(try shop.run(["migrate", "up"]).status == 0)
        let arguments = ["run", "export-to-pg", "StatEvent", "--batch-size", "100"]
        #expect(try shop.run(arguments, ["TALLYMAN_FAILPOINT": point]).status == SIGKILL, "the failpoint kills")
        try shop.postgres.psql(shop.core, "UPDATE stat_event SET source = 'moved', updated_at = now() WHERE id = 1")
        let next = try shop.run(arguments + ["--verify", "--json"])
        #expect(next.status == 0, "\(next.output) \(next.errors)")
        #expect(next.output.contains("full-compare"))
        #expect(try shop.count("stat_event") == "900\n")
    }

    @Test func ownMigrationsAreSharedWithDbmate() throws {
        let shop = try Shop()
        let made = try shop.run(["migrate", "new", "add widget-column", "--database", "analytics", "--json"])
        #expect(made.status == 0, "\(made.errors)")
        let folder = shop.folder.appending(path: "migrations/analytics")
        let names = try FileManager.default.contentsOfDirectory(atPath: folder.path)
        let name = try #require(names.first)
        #expect(name.wholeMatch(of: #/\d{14}_add_widget_column\.sql/#) != nil)
        #expect(try shop.run(["migrate", "new", "x", "--database", "nowhere"]).status == 1)
        let up = "ALTER TABLE analytics_raw.stat_event ADD COLUMN widget text;"
        let text = "-- migrate:up\n\(up)\n-- migrate:down\nALTER TABLE analytics_raw.stat_event DROP COLUMN widget;\n"
        try Data(text.utf8).write(to: folder.appending(path: name))
        let second = "29991231235959_index.sql"
        let concurrent =
            "-- migrate:up transaction:false\nCREATE INDEX CONCURRENTLY widgets ON analytics_raw.stat_event (widget)\n"
            + "-- migrate:down transaction:false\nDROP INDEX CONCURRENTLY analytics_raw.widgets\n"
        try Data(concurrent.utf8).write(to: folder.appending(path: second))
        // What dbmate applied counts as applied.
        try shop.postgres.psql(
            shop.analytics,
            "CREATE TABLE schema_migrations (version varchar(128) PRIMARY KEY)"
        )
        #expect(
            try shop.run(["migrate", "status", "--json"]).output.contains("analytics\\/\(name.dropLast(4))")
                || shop.run(["migrate", "status"]).output.contains("[ ] analytics/\(name.dropLast(4))")
        )
        #expect(try shop.run(["migrate", "up"]).status == 0)
        let versions = try shop.postgres.psql(shop.analytics, "SELECT version FROM schema_migrations ORDER BY 1")
        #expect(versions == "\(name.prefix(14))\n29991231235959\n")
        #expect(try shop.postgres.psql(shop.analytics, "SELECT count(widget) FROM analytics_raw.stat_event") == "0\n")
        #expect(try shop.run(["migrate", "down", "--database", "analytics"]).status == 0)
        let index = try shop.postgres.psql(shop.analytics, "SELECT to_regclass('analytics_raw.widgets') IS NULL")
        #expect(index == "t\n")
        #expect(try shop.postgres.psql(shop.analytics, "SELECT count(*) FROM etl.schema_migrations") != "0\n")
    }
}
