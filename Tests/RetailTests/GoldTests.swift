import Engine
import Foundation
import Postgres
import Retail
import RetailMock
import Runtime
import TestKit
import Testing

/// Gold by the real dbt that `TEST_DBT` names; where CI is set and it is not, that is a failure and no skip.
@Suite(.serialized) struct GoldTests {
    static let environment = ProcessInfo.processInfo.environment
    static let canBuild = environment["TEST_DBT"] != nil || environment["CI"] != nil

    @Test(.enabled(if: canBuild, "TEST_DBT names no dbt; bin/test sets it"))
    func goldEqualsTheShopsBooks() async throws {
        let bench = try await RetailBench(sales: 150, editDelay: 3 * 3_600)
        try await bench.serving { base in
            for round in 1...2 {
                let record = try await bench.run(base)
                #expect(record.state == .succeeded, "round \(round): \(String(describing: record.error))")
                try Self.compare(bench, round)
                let nodes = record.summary?["details"]?["gold"]?["nodes"]?.array ?? []
                #expect(nodes.count > 30, "models and tests")
                #expect(nodes.allSatisfy { ["success", "pass"].contains($0["status"]?.string) })
                // Late edits: more lines, fewer lines, other quantities.
                bench.pass(seconds: 4 * 3_600)
            }
            bench.pass(seconds: -4 * 3_600)
            let written = "SELECT sum(xmin::text::bigint) FROM gold.sales_item"
            let before = try bench.ask(written)
            #expect(try await bench.run(base, options: .stage("gold")).state == .succeeded)
            #expect(try bench.ask(written) == before, "nothing changed, nothing was written")
            // What somebody changed by hand is found and put right.
            _ = try bench.ask("UPDATE gold.sales_item SET amount = 0 WHERE sale_id = 1")
            _ = try bench.ask("DELETE FROM gold.dim_customer WHERE customer_id = 'C1001'")
            #expect(try await bench.run(base, options: .stage("gold")).state == .succeeded)
            try Self.compare(bench, 3)
            #expect(try bench.ask("SELECT count(*) FROM gold.dim_customer") == "40")
        }
        await bench.close()
    }

    /// As Airflow runs them, each stage a run of its own: the last proves the job, where the one before went well.
    @Test(.enabled(if: canBuild, "TEST_DBT names no dbt; bin/test sets it"))
    func goldBehindAGoodSilverIsASuccessOfTheJob() async throws {
        let bench = try await RetailBench(sales: 20)
        let ledger = Ledger(state: bench.pool)
        try await bench.serving { base in
            try await bench.load(base)
            #expect(try await ledger.lastSuccess(job: "retail") == nil, "nothing is built yet")
            let gold = try await bench.run(base, options: .stage("gold"))
            #expect(gold.state == .succeeded, "\(String(describing: gold.error))")
            #expect(try await ledger.lastSuccess(job: "retail")?.id == gold.id)
            try await bench.load(base)
            _ = try bench.ask(
                """
                UPDATE etl.runs SET state = 'failed' WHERE id = (SELECT id FROM etl.runs
                    WHERE options ->> 'stage' = 'silver' ORDER BY queued_at DESC LIMIT 1)
                """
            )
            #expect(try await bench.run(base, options: .stage("gold")).state == .succeeded)
            #expect(try await ledger.lastSuccess(job: "retail")?.id == gold.id, "the silver before it failed")
        }
        await bench.close()
    }

    static func compare(_ bench: RetailBench, _ round: Int) throws {
        let books = bench.books
        let amount = ShopBooks.text(books.cents)
        let items = try bench.ask("SELECT count(*), sum(quantity), round(sum(amount), 2) FROM gold.sales_item")
        #expect(items == "\(books.lines)|\(books.quantity)|\(amount)", "round \(round)")
        let mart = try bench.ask(
            "SELECT customer_id, sales_date, round(total_amount, 2) FROM gold.mart_sales_by_customer"
        )
        let expected = books.centsByCustomerDay.map { key, cents in
            "\(key.replacing(" ", with: "|"))|\(ShopBooks.text(cents))"
        }
        #expect(mart.split(separator: "\n").map(String.init).sorted() == expected.sorted(), "round \(round)")
    }

    @Test(.enabled(if: canBuild, "TEST_DBT names no dbt; bin/test sets it"))
    func aFailingTestFailsTheRunAndKeepsItsRows() async throws {
        let bench = try await RetailBench(sales: 20)
        try await bench.serving { base in
            try await bench.load(base)
            _ = try bench.ask("UPDATE silver.sales_product SET quantity = -7 WHERE sale_id = 3 AND line_no = 1")
            let record = try await bench.run(base, options: .stage("gold"))
            #expect(record.state == .failed)
            #expect(record.error?.kind == TallyError.Kind.proofFailed.rawValue, "\(String(describing: record.error))")
            let summary = record.error?.summary ?? ""
            #expect(
                summary.contains("accepted_range_sales_item_quantity") && summary.contains("1 rows in"),
                "\(summary)"
            )
            let kept = try bench.ask(
                "SELECT string_agg(table_name, ',') FROM information_schema.tables "
                    + "WHERE table_schema = 'gold_dbt_test__audit' AND table_name LIKE '%quantity%'"
            )
            #expect(try bench.ask("SELECT quantity FROM gold_dbt_test__audit.\(kept.split(separator: ",")[0])") == "-7")
        }
        await bench.close()
    }

    @Test(.enabled(if: canBuild, "TEST_DBT names no dbt; bin/test sets it"))
    func cancellingKillsDBTAndEndsItsSessions() async throws {
        let bench = try await RetailBench(sales: 20)
        try await bench.serving { base in _ = try await bench.load(base) }
        let nowhere = try #require(URL(string: "http://127.0.0.1:9"))
        let job = RetailJob(
            settings: bench.settings(),
            warehouse: bench.pool,
            api: bench.api(nowhere),
            gold: bench.gold
        )
        let runner = JobRunner(state: bench.pool, jobs: [job], holder: "test", logger: RetailBench.quiet)
        let sessions =
            "SELECT count(*) FROM pg_stat_activity WHERE application_name = 'tallyman-gold' "
            + "AND datname = current_database()"
        try await bench.pool.withConnection { blocker in
            // A lock that holds dbt up inside the database.
            // It is idle on purpose, and for as long as dbt takes.
            try await blocker.execute("SET idle_in_transaction_session_timeout = 0")
            try await blocker.execute("BEGIN; LOCK TABLE silver.customers IN ACCESS EXCLUSIVE MODE")
            try await withThrowingTaskGroup(of: Void.self) { group in
                group.addTask { try await runner.run() }
                defer { group.cancelAll() }
                let id = try await runner.submit("retail", .stage("gold"), trigger: .api, requestedBy: "test")
                let waiting = sessions + " AND wait_event_type = 'Lock'"
                while try bench.ask(waiting) == "0", try await runner.wait(id, isOver: bench) == false {
                    await Task.yield()
                }
                #expect(try bench.ask(waiting) != "0", "dbt waits for the lock")
                #expect(try await runner.cancel(id, by: "test"))
                #expect(try await runner.wait(id).state == .cancelled)
            }
        }
        #expect(try bench.ask(sessions) == "0")
        await bench.close()
    }

    /// Only the server can end what a killed client left there; the task that asks it for that is cancelled itself.
    @Test func cancellingEndsSessionsThatOutliveDBT() async throws {
        let bench = try await RetailBench(sales: 1)
        let script = bench.folder + "-dbt"
        defer { try? FileManager.default.removeItem(atPath: script) }
        // It hears no signal but the last, and its client is in a group of its own.
        try Data(
            """
            #!/bin/sh
            trap '' INT TERM
            PGAPPNAME=tallyman-gold setsid psql '\(bench.url)' -c 'SELECT pg_sleep(600)' >/dev/null 2>&1 </dev/null &
            while :; do sleep 1; done

            """.utf8
        ).write(to: URL(filePath: script))
        try FileManager.default.setAttributes([.posixPermissions: 0o755], ofItemAtPath: script)
        var gold = bench.gold
        gold.executable = script
        let nowhere = try #require(URL(string: "http://127.0.0.1:9"))
        let job = RetailJob(settings: bench.settings(), warehouse: bench.pool, api: bench.api(nowhere), gold: gold)
        let runner = JobRunner(state: bench.pool, jobs: [job], holder: "test", logger: RetailBench.quiet)
        let sessions =
            "SELECT count(*) FROM pg_stat_activity WHERE application_name = 'tallyman-gold' "
            + "AND datname = current_database()"
        try await withThrowingTaskGroup(of: Void.self) { group in
            group.addTask { try await runner.run() }
            defer { group.cancelAll() }
            let id = try await runner.submit("retail", .stage("gold"), trigger: .api, requestedBy: "test")
            while try bench.ask(sessions) == "0", try await runner.wait(id, isOver: bench) == false {
                await Task.yield()
            }
            #expect(try bench.ask(sessions) == "1")
            #expect(try await runner.cancel(id, by: "test"))
            #expect(try await runner.wait(id).state == .cancelled)
        }
        #expect(try bench.ask(sessions) == "0")
        _ = try bench.ask("SELECT pg_terminate_backend(pid) FROM (\(sessions.replacing("count(*)", with: "pid"))) s")
        await bench.close()
    }

    /// Rows that share a key differ from nothing that is compared by value: they are found by what must be unique.
    @Test(.enabled(if: canBuild, "TEST_DBT names no dbt; bin/test sets it"))
    func rowsTwiceInGoldAreHealed() async throws {
        let bench = try await RetailBench(sales: 30)
        try await bench.serving { base in
            _ = try await bench.run(base)
            _ = try bench.ask(
                """
                DO $$ DECLARE i regclass; BEGIN
                    FOR i IN SELECT indexrelid FROM pg_index WHERE indrelid = 'gold.sales_item'::regclass LOOP
                        EXECUTE 'DROP INDEX ' || i;
                    END LOOP;
                END $$;
                INSERT INTO gold.sales_item SELECT * FROM gold.sales_item WHERE sale_id <= 3;
                UPDATE gold.sales_item SET amount = 0 WHERE ctid IN (SELECT max(ctid) FROM gold.sales_item)
                """
            )
            let record = try await bench.run(base, options: .stage("gold"))
            #expect(record.state == .succeeded, "\(String(describing: record.error))")
            try Self.compare(bench, 1)
            let unique = "SELECT count(*) FROM pg_index WHERE indrelid = 'gold.sales_item'::regclass AND indisunique"
            #expect(try bench.ask(unique) == "1")
        }
        await bench.close()
    }

    /// A dbt that lives on after its run lost the job writes no more.
    @Test(.enabled(if: canBuild, "TEST_DBT names no dbt; bin/test sets it"))
    func aDBTWhoseRunWasTakenOverWritesNothing() async throws {
        let bench = try await RetailBench(sales: 30)
        let script = bench.folder + "-dbt"
        defer { try? FileManager.default.removeItem(atPath: script) }
        try Data(
            """
            #!/bin/sh
            case "$*" in *models/mart*)
                psql -q '\(bench.url)' -c "UPDATE etl.fences SET fence = fence + 1 WHERE job = 'retail'" >/dev/null;;
            esac
            exec '\(bench.gold.executable)' "$@"

            """.utf8
        ).write(to: URL(filePath: script))
        try FileManager.default.setAttributes([.posixPermissions: 0o755], ofItemAtPath: script)
        try await bench.serving { base in
            try await bench.load(base)
            var gold = bench.gold
            gold.executable = script
            let record = try await bench.run(base, options: .stage("gold"), gold: gold)
            #expect(record.state == .failed)
            #expect(try bench.ask("SELECT count(*) > 0 FROM gold.sales_item") == "t", "the fence stood until then")
            #expect(try bench.ask("SELECT to_regclass('gold.mart_sales_by_customer') IS NULL") == "t")
        }
        await bench.close()
    }

    @Test func withoutDBTBronzeAndSilverStillRun() async throws {
        let bench = try await RetailBench(sales: 20)
        var gold = bench.gold
        gold.executable = "/nowhere/dbt"
        try await bench.serving { base in
            let record = try await bench.run(base, gold: gold)
            #expect(record.state == .failed)
            #expect(record.error?.summary == "dbt is not installed")
            #expect(record.error?.remedy?.contains("pip install dbt-core==") == true)
            #expect(try bench.ask("SELECT count(*) FROM silver.sales_product") == "\(bench.books.lines)")
            gold.executable = "dbt-that-is-not-installed"
            let named = try await bench.run(base, options: .stage("gold"), gold: gold)
            #expect(named.error?.summary == "dbt is not installed")
        }
        await bench.close()
    }

    @Test func theRemedyNamesThePinnedVersions() async throws {
        let bench = try await RetailBench(sales: 1)
        var gold = bench.gold
        gold.executable = "/nowhere/dbt"
        let nowhere = try #require(URL(string: "http://127.0.0.1:9"))
        let remedy = try await bench.run(nowhere, options: .stage("gold"), gold: gold).error?.remedy ?? ""
        let pins = try String(contentsOf: Self.root.appending(path: "bin/lib/dbt.requirements.txt"), encoding: .utf8)
            .split(separator: "\n").filter { !$0.hasPrefix("#") }
        #expect(pins.count == 2 && pins.allSatisfy { remedy.contains($0) }, "\(remedy)")
        await bench.close()
    }

    private static let root = URL(filePath: #filePath).deletingLastPathComponent().deletingLastPathComponent()
        .deletingLastPathComponent()

    @Test func theCompiledProjectIsTheFolder() throws {
        let root = Self.root.appending(path: "Sources/Retail/dbt")
        let files = try FileManager.default.subpathsOfDirectory(atPath: root.path).filter { path in
            !path.hasPrefix(".") && ["sql", "yml"].contains(URL(filePath: path).pathExtension)
        }
        #expect(DBTProject.files.map(\.path) == files.sorted())
        for file in DBTProject.files {
            #expect(FileManager.default.contents(atPath: root.appending(path: file.path).path) == Data(file.bytes))
        }
    }
}

extension JobRunner {
    /// Whether a run has ended; asks the ledger, which takes a moment.
    fileprivate func wait(_ id: RunID, isOver bench: RetailBench) async throws -> Bool {
        try bench.ask("SELECT finished_at IS NOT NULL FROM etl.runs WHERE id = '\(id)'") == "t"
    }
}
