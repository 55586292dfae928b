import Engine
import Foundation
import Postgres
import Retail
import RetailMock
import Runtime
import TestKit
import Testing

/// INV-7: the built binary, killed by SIGKILL at every step; one quiet run later all is as after one clean run.
@Suite(.serialized) struct KilledProcessTests {
    private static func tallyman(
        _ arguments: [String],
        _ bench: RetailBench,
        _ base: URL,
        failpoint: String? = nil
    ) throws -> ChildProcess.Progress {
        var settings = bench.environment(base)
        settings["TALLYMAN_FAILPOINT"] = failpoint
        return try TallymanBinary.run(["run", "retail"] + arguments, settings)
    }

    @Test(arguments: [
        ("bronze", "run.started"), ("bronze", "bronze.pageWritten:3"), ("bronze", "bronze.beforeRename:3"),
        ("bronze", "bronze.afterRename:2"), ("bronze", "write.afterFence:2"), ("bronze", "write.beforeCommit"),
        ("bronze", "write.afterCommit:2"), ("silver", "silver.staged:3"), ("silver", "write.beforeCommit:2"),
        ("silver", "write.afterCommit:3"), ("silver", "run.beforeFinish"),
    ])
    func whatIsKilledIsFinishedByTheNext(stage: String, point: String) async throws {
        let bench = try await RetailBench(sales: 160)
        try await bench.serving { base in
            if stage == "silver" {
                #expect(try Self.tallyman(["--stage", "bronze"], bench, base).exit == .code(0))
            }
            let killed = try Self.tallyman(["--stage", stage], bench, base, failpoint: point)
            #expect(killed.exit == .signal(SIGKILL), "\(point) kills: \(killed.errorText)")
            for stage in ["bronze", "silver"] {
                let quiet = try Self.tallyman(["--stage", stage], bench, base)
                #expect(quiet.exit == .code(0), "\(quiet.errorText)")
            }
        }
        let clean = try await RetailBench(sales: 160)
        try await clean.serving { base in _ = try await clean.load(base) }
        #expect(try bench.silver() == clean.silver())
        let manifest = try bench.ask("SELECT path FROM meta.bronze_files ORDER BY path")
        #expect(manifest == bench.files().joined(separator: "\n"), "no file is forgotten, none half written")
        #expect(try bench.ask("SELECT cursor_id FROM etl.watermarks") == "\(clean.lastID)")
        await bench.close()
        await clean.close()
    }

    /// Between all four steps of gold in the long form, before the second model step else.
    @Test(.enabled(if: GoldTests.canBuild, "TEST_DBT names no dbt; bin/test sets it"))
    func goldKilledBetweenItsStepsIsBuiltByTheNext() async throws {
        let bench = try await RetailBench(sales: 60)
        let isLong = ProcessInfo.processInfo.environment["TALLYMAN_LONG_TESTS"] != nil
        try await bench.serving { base in
            try await bench.load(base)
            for step in isLong ? [1, 2, 3, 4] : [3] {
                let killed = try Self.tallyman(["--stage", "gold"], bench, base, failpoint: "gold.beforeStep:\(step)")
                #expect(killed.exit == .signal(SIGKILL), "step \(step): \(killed.errorText)")
            }
            let quiet = try Self.tallyman(["--stage", "gold"], bench, base)
            #expect(quiet.exit == .code(0), "\(quiet.errorText)")
            try GoldTests.compare(bench, 1)
        }
        await bench.close()
    }

    /// A dbt whose daemon was killed goes on alone; its sessions carry no fence, so the next stage ends them first.
    @Test(.enabled(if: GoldTests.canBuild, "TEST_DBT names no dbt; bin/test sets it"))
    func aNewGoldStageEndsTheSessionsOfAnOldOne() async throws {
        let bench = try await RetailBench(sales: 30)
        let waiting =
            "SELECT pid FROM pg_stat_activity WHERE application_name = 'tallyman-gold' "
            + "AND datname = current_database() AND wait_event_type = 'Lock'"
        try await bench.serving { base in
            try await bench.load(base)
            let next = try await bench.pool.withConnection { blocker in
                // It is idle on purpose, and for as long as dbt takes.
                try await blocker.execute("SET idle_in_transaction_session_timeout = 0")
                try await blocker.execute("BEGIN; LOCK TABLE silver.customers IN ACCESS EXCLUSIVE MODE")
                let first = try TallymanBinary.start(["run", "retail", "--stage", "gold"], bench.environment(base))
                let old = try bench.answer(waiting, while: first)
                first.signal(SIGKILL)
                #expect(try await first.wait() == .signal(SIGKILL))
                #expect(try bench.ask("SELECT count(*) FROM (\(waiting)) s WHERE pid = \(old)") == "1", "it lives on")
                let second = try TallymanBinary.start(["run", "retail", "--stage", "gold"], bench.environment(base))
                _ = try bench.answer(waiting + " AND pid <> \(old)", while: second)
                #expect(try bench.ask("SELECT count(*) FROM pg_stat_activity WHERE pid = \(old)") == "0", "it is ended")
                try await blocker.execute("ROLLBACK")
                return second
            }
            #expect(try await next.wait(within: .seconds(180)) == .code(0), "\(next.progress.value.errorText)")
            try GoldTests.compare(bench, 1)
        }
        await bench.close()
    }

    /// A ceiling on file sizes stands for the full disk: both fail a write with part of it done.
    @Test func aFullDiskStopsBronzeCleanly() async throws {
        let bench = try await RetailBench(sales: 160)
        try await bench.serving { base in
            // Waited for without a thread: the sample source answers from the same ones.
            let child = try ChildProcess(
                "sh",
                [
                    "-c", "trap '' XFSZ; ulimit -f 8; exec \"$0\" \"$@\"", TallymanBinary.path, "run", "retail",
                    "--stage", "bronze", "--json",
                ],
                environment: bench.environment(base)
            )
            child.closeInput()
            let exit = try await child.wait(within: .seconds(120))
            let limited = child.progress.value
            #expect(exit == .code(1), "\(limited.errorText)")
            #expect(limited.outputText.contains("the disk of BRONZE_DIR is full"), "\(limited.outputText)")
            #expect(limited.outputText.contains(TallyError.Kind.limitExceeded.rawValue))
            #expect(try bench.ask("SELECT count(*) FROM etl.watermarks") == "0")
            let left = (try? FileManager.default.subpathsOfDirectory(atPath: bench.folder)) ?? []
            #expect(!left.contains { $0.contains(".ndjson") }, "what was begun is removed: \(left)")
            let records = try await bench.load(base)
            #expect(records.map(\.state) == [.succeeded, .succeeded], "\(records.map(\.error))")
            #expect(try bench.ask("SELECT count(*) FROM silver.sales_product") == "\(bench.books.lines)")
        }
        await bench.close()
    }
}
