import Engine
import Foundation
import Postgres
import Runtime
import TableExport
import TestKit
import Testing

/// Nothing slips behind the cursor, however writers and exports interleave (INV-1, INV-3, INV-5).
///
/// One run of the export with acts of writers, and kills, drawn anew between its steps is one interleaving. The quick
/// form takes some hundreds; `TALLYMAN_LONG_TESTS=1` takes 102,000.
@Suite struct InterleavingTests {
    static let isLong = ProcessInfo.processInfo.environment["TALLYMAN_LONG_TESTS"] == "1"
    static let seed = ProcessInfo.processInfo.environment["TEST_SEED"].flatMap { UInt64($0) } ?? 20_261_121

    struct Outcome {
        var runs = 0
        var acts = 0
        var kills = 0
        var late = 0
        var overlaps = 0
        /// Rounds after which the target was not the source.
        var broken: [Int] = []
    }

    /// Rounds of three runs under writing and one in peace, after each of which both sides must be equal.
    static func play(
        _ cursor: InterleavingStory.Cursor,
        seed: UInt64,
        runs: Int,
        lookback: Lookback? = nil,
        untilBroken: Bool = false
    ) async throws -> Outcome {
        let rig = try await ExportRig(
            source: InterleavingStory.sourceSQL(cursor),
            target: InterleavingStory.targetSQL(cursor)
        )
        let story = InterleavingStory(seed: seed, cursor: cursor)
        try await story.open(PGSettings(url: Secret(rig.sourceURL), applicationName: "writer"), writers: 4)
        let job = try rig.job(InterleavingStory.yaml(cursor), lookback: lookback)
        var outcome = Outcome()
        var round = 0
        while outcome.runs < runs {
            round += 1
            for _ in 0..<3 {
                outcome.runs += 1
                try await exported(rig, job, story, &outcome, mayKill: true)
                try await story.act()
            }
            try await story.settle()
            outcome.runs += 1
            try await exported(rig, job, story, &outcome, mayKill: false)
            if try await !equal(rig) { outcome.broken.append(round) }
            if untilBroken, !outcome.broken.isEmpty { break }
            // Rows are few, so that a round costs the same at the end.
            if round % 25 == 0 { try await empty(rig) }
        }
        outcome.acts = await story.acts
        outcome.kills = await story.kills
        await story.close()
        await rig.close()
        return outcome
    }

    private static func exported(
        _ rig: ExportRig,
        _ job: TableExportJob,
        _ story: InterleavingStory,
        _ outcome: inout Outcome,
        mayKill: Bool
    ) async throws {
        let failpoint = mayKill ? Failpoint { _ in try await story.step(mayKill: true) } : .none
        do {
            let summary = try await rig.run(
                job,
                RunOptions(batchSize: await story.batchSize()),
                failpoint: failpoint
            )
            outcome.late += summary.counts["late"] ?? 0
            if summary.details["lookback"]?.string == "overlap" { outcome.overlaps += 1 }
        } catch is InterleavingStory.Killed {
            return
        }
    }

    private static func equal(_ rig: ExportRig) async throws -> Bool {
        func sum(_ pool: PGPool, _ table: String) async throws -> String {
            try await pool.withConnection { connection in
                try await connection.query(
                    "SELECT count(*) || coalesce(md5(string_agg(md5(t::text), '' ORDER BY id)), '') FROM \(table) t"
                ).rows.first?[0].string() ?? ""
            }
        }
        return try await sum(rig.source, "event") == sum(rig.target, "analytics_raw.event")
    }

    private static func empty(_ rig: ExportRig) async throws {
        try await rig.source.withConnection { try await $0.execute("DELETE FROM event") }
        try await rig.source.withConnection { try await $0.execute("VACUUM event") }
        try await rig.target.withConnection {
            try await $0.execute("DELETE FROM analytics_raw.event; DELETE FROM etl.watermarks")
        }
    }

    /// In the long form four stories of each kind at the same time.
    @Test(arguments: InterleavingStory.Cursor.allCases, isLong ? 0..<4 : 0..<1)
    func theTargetEndsEqualToTheSource(cursor: InterleavingStory.Cursor, part: Int) async throws {
        let started = ContinuousClock.now
        let seed = Self.seed + UInt64(part)
        let outcome = try await Self.play(cursor, seed: seed, runs: Self.isLong ? 8_500 : 160)
        let label = "TEST_SEED=\(seed) \(cursor) \(outcome) in \(started.duration(to: .now))"
        #expect(outcome.broken.isEmpty, "\(label)")
        #expect(outcome.kills > 0 && outcome.late > 0, "\(label)")
        // Only the first run after a new beginning may have to read a window whole.
        #expect(outcome.overlaps == 0, "\(label)")
        try Self.note("\(cursor).\(part)", label)
    }

    /// The same story must end with rows lost when nothing behind the cursor is read.
    @Test(arguments: [InterleavingStory.Cursor.timeAndID, .sequence])
    func withoutTheSafeBoundRowsAreLost(cursor: InterleavingStory.Cursor) async throws {
        let outcome = try await Self.play(cursor, seed: Self.seed, runs: 2_000, lookback: .off, untilBroken: true)
        #expect(!outcome.broken.isEmpty, "TEST_SEED=\(Self.seed) \(outcome)")
    }

    /// Leaves a file beside the one that `TALLYMAN_TEST_NOTES` names, for long runs.
    private static func note(_ name: String, _ text: String) throws {
        guard let path = ProcessInfo.processInfo.environment["TALLYMAN_TEST_NOTES"] else { return }
        try (text + "\n").write(toFile: "\(path).\(name)", atomically: true, encoding: .utf8)
    }
}
