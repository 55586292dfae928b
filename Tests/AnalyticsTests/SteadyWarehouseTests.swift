import Analytics
import Engine
import Foundation
import Runtime
import Synchronization
import TestKit
import Testing

/// Stops, repeats, overlapping windows and backfills end in the tables of one clean pass.
@Suite(.serialized) struct SteadyWarehouseTests {
    /// Fails the run when it comes to a point for the count-th time.
    private static func stop(at point: String, count: Int) -> Failpoint {
        let left = Mutex(count)
        return Failpoint { name in
            guard name == point else { return }
            let isNow = left.withLock { left in
                left -= 1
                return left == 0
            }
            if isNow { throw TallyError(.unknown, during: "test.stop", "stopped here") }
        }
    }

    private static func clean(_ shop: AnalyticsShop, _ jobs: [any Job]) async throws -> Set<String> {
        for record in try await shop.run(jobs, AnalyticsShop.wholeRange) { #expect(record.state == .succeeded) }
        let stored = try shop.stored()
        #expect(stored.count > 700)
        return stored
    }

    /// Every row's transaction, run and place: what a rewrite would change.
    private static func places(_ shop: AnalyticsShop) throws -> String {
        let queries = AnalyticsShop.measures.map { measure in
            "SELECT '\(measure.name)', md5(string_agg(concat(tableoid, ctid, xmin, run_id, computed_at), ',' "
                + "ORDER BY tableoid, ctid)) FROM \(measure.table)"
        }
        return try shop.postgres.psql(shop.warehouseURL, queries.joined(separator: ";"))
    }

    @Test func stopsAtEveryPointAreMadeGood() async throws {
        let shop = try await AnalyticsShop(seed: 41)
        let jobs = shop.jobs(shop.settings(v1: true, legacy: true))
        let clean = try await Self.clean(shop, jobs)
        // The built binary is killed at the others too (AnalyticsCommandTests).
        let isLong = ProcessInfo.processInfo.environment["TALLYMAN_LONG_TESTS"] == "1"
        let points =
            ["analytics.staged", "write.beforeCommit", "write.afterCommit"]
            + (isLong ? ["run.started", "write.afterFence", "run.beforeFinish"] : [])
        for (index, point) in points.enumerated() {
            try shop.emptyWarehouse()
            // Each job is stopped in the middle of its days.
            let isOnce = point.hasPrefix("run.")
            for job in jobs {
                let record = try await shop.run(
                    [job],
                    failpoint: Self.stop(at: point, count: isOnce ? 1 : index + 2),
                    AnalyticsShop.wholeRange
                )
                #expect(record.first?.state == .failed, "\(point)")
            }
            #expect(try shop.stored() != clean || isOnce, "\(point) came too late to stop anything")
            for record in try await shop.run(jobs, AnalyticsShop.wholeRange) { #expect(record.state == .succeeded) }
            let stored = try shop.stored()
            #expect(stored == clean, "\(point)\n\(difference(stored, clean))")
        }
        await shop.close()
    }

    @Test func aRepeatWritesNothing() async throws {
        let shop = try await AnalyticsShop(seed: 42)
        let jobs = shop.jobs(shop.settings(v1: false))
        let clean = try await Self.clean(shop, jobs)
        let places = try Self.places(shop)
        let marks = "SELECT md5(string_agg(w::text, ',' ORDER BY w::text)) FROM etl.watermarks w"
        let positions = try shop.postgres.psql(shop.warehouseURL, marks)
        for record in try await shop.run(jobs, AnalyticsShop.wholeRange) {
            #expect(record.summary?["counts"]?["recordsLoaded"] == .int(0))
            #expect(record.summary?["counts"]?["daysChanged"] == .int(0))
        }
        #expect(try Self.places(shop) == places)
        #expect(try shop.postgres.psql(shop.warehouseURL, marks) == positions)
        #expect(try shop.stored() == clean)
        await shop.close()
    }

    /// Days end earlier east of where they ended before, and marks of earlier versions hold the instant of their end.
    @Test(arguments: [false, true])
    func anotherZoneIsNoStepBack(marksHoldInstants: Bool) async throws {
        let shop = try await AnalyticsShop(seed: 47, zone: "UTC")
        _ = try await Self.clean(shop, shop.jobs(shop.settings(v1: false)))
        if marksHoldInstants {
            try shop.postgres.psql(
                shop.warehouseURL,
                "UPDATE etl.watermarks SET cursor_ts = (scope || ' 00:00+00')::timestamptz + interval '1 day' "
                    + "WHERE scope ~ '^[0-9-]{10}$'"
            )
        }
        let eastern = shop.jobs(shop.settings(v1: false, zone: "Asia/Tokyo"))
        for record in try await shop.run(eastern, AnalyticsShop.wholeRange) {
            #expect(record.state == .succeeded, "\(record.job): \(record.error?.summary ?? "")")
        }
        let stored = try shop.stored()
        let expected = try shop.expected(v1: false, zone: "Asia/Tokyo")
        #expect(stored == expected, "\(difference(stored, expected))")
        await shop.close()
    }

    /// Jobs whose rows are of nobody do not ask who was erased.
    @Test func whoWasErasedIsReadForPersonsOnly() async throws {
        let shop = try await AnalyticsShop(seed: 48)
        try shop.postgres.psql(shop.warehouseURL, "ALTER TABLE analytics.erasures RENAME TO elsewhere")
        let settings = shop.settings(v1: false)
        for record in try await shop.run(shop.jobs(settings), AnalyticsShop.wholeRange) {
            let isOfPersons = record.job == "user_analytics" || record.job == "payment_analytics"
            #expect(record.state == (isOfPersons ? .failed : .succeeded), "\(record.job)")
        }
        await shop.close()
    }

    /// The list of erasures is kept from window to window, but an erasure between two of them counts at once.
    @Test func anErasureBetweenTwoWindowsIsSeen() async throws {
        let shop = try await AnalyticsShop(seed: 49)
        let settings = shop.settings(v1: false)
        let job = try shop.job("payment_analytics", settings)
        _ = try await shop.run([job], AnalyticsShop.wholeRange)
        let token = try shop.postgres.psql(
            shop.warehouseURL,
            "SELECT user_token FROM analytics.fraud_signals GROUP BY 1 ORDER BY count(*) DESC, 1 LIMIT 1"
        ).trimmingCharacters(in: .newlines)
        try shop.emptyWarehouse()
        let (postgres, url) = (shop.postgres, shop.warehouseURL)
        let left = Mutex(3)
        let erases = Failpoint { name in
            guard name == "analytics.staged" else { return }
            let isNow = left.withLock { left in
                left -= 1
                return left == 0
            }
            guard isNow else { return }
            try postgres.psql(
                url,
                "INSERT INTO analytics.erasures (token_digest, rows_removed, run_id, erased_at) "
                    + "VALUES (sha256('\(token)'), 0, gen_random_uuid(), now()); "
                    + "DELETE FROM analytics.fraud_signals WHERE user_token = '\(token)'"
            )
        }
        let record = try #require(try await shop.run([job], failpoint: erases, AnalyticsShop.wholeRange).first)
        #expect(record.state == .succeeded, "\(record.error?.summary ?? "")")
        let rows = "SELECT count(*) FILTER (WHERE user_token = '\(token)'), count(*) > 0 FROM analytics.fraud_signals"
        #expect(try shop.postgres.psql(shop.warehouseURL, rows) == "0|t\n")
        await shop.close()
    }

    /// Windows that overlap, in either order; the state per user stays that of the newest day.
    @Test func overlappingWindowsEndInTheSameTables() async throws {
        let shop = try await AnalyticsShop(seed: 43)
        let jobs = shop.jobs(shop.settings(v1: false))
        let clean = try await Self.clean(shop, jobs)
        try shop.emptyWarehouse()
        for (start, end) in [
            ("2026-03-30", "2026-04-02"), ("2026-03-24", "2026-03-31"), ("2026-03-28", "2026-04-01"),
        ] {
            for record in try await shop.run(jobs, { ($0.startDate, $0.endDate) = (start, end) }) {
                #expect(record.state == .succeeded)
            }
        }
        _ = try await shop.run(jobs) { $0.date = "2026-03-26" }
        let stored = try shop.stored()
        #expect(stored == clean, "\(difference(stored, clean))")
        await shop.close()
    }

    @Test func aBackfillGoesOnWhereItWasStopped() async throws {
        let shop = try await AnalyticsShop(seed: 44)
        let jobs = shop.jobs(shop.settings(v1: false))
        let clean = try await Self.clean(shop, jobs)
        try shop.emptyWarehouse()
        func backfill(_ options: inout RunOptions) {
            AnalyticsShop.wholeRange(&options)
            (options.backfill, options.batchDays) = (true, 3)
        }
        for job in jobs {
            let stopped = try await shop.run([job], failpoint: Self.stop(at: "write.beforeCommit", count: 3), backfill)
            #expect(stopped.first?.state == .failed)
            let resumed = try await shop.run([job], backfill)
            let counts = try #require(resumed.first?.summary?["counts"])
            #expect(counts["daysResumed"] == .int(6) && counts["days"] == .int(4))
            #expect(resumed.first?.progress?["total"] == .int(4), "what is done already does not count")
            #expect(resumed.first?.progress?["read"] == .int(4))
            #expect(resumed.first?.progress?["etaSeconds"] == .int(0), "nothing is left")
        }
        let stored = try shop.stored()
        #expect(stored == clean, "\(difference(stored, clean))")
        let windows = try shop.postgres.psql(
            shop.warehouseURL,
            "SELECT count(*), count(DISTINCT scope) FROM etl.watermarks WHERE scope LIKE 'window/%'"
        )
        #expect(windows == "16|4\n", "one watermark a window and job")
        // A backfill that came to its end begins anew when it is asked for again.
        let again = try await shop.run(jobs, backfill)
        #expect(again.allSatisfy { $0.summary?["counts"]?["days"] == .int(10) })
        #expect(again.allSatisfy { $0.summary?["counts"]?["recordsLoaded"] == .int(0) })
        await shop.close()
    }

    @Test func aDryRunWritesNothing() async throws {
        let shop = try await AnalyticsShop(seed: 45)
        let jobs = shop.jobs(shop.settings(v1: true, legacy: true))
        let records = try await shop.run(jobs) { options in
            AnalyticsShop.wholeRange(&options)
            options.dryRun = true
        }
        for record in records {
            #expect(record.state == .succeeded)
            #expect((record.summary?["counts"]?["recordsExtracted"]?.int ?? 0) > 0)
        }
        #expect(try shop.stored().isEmpty)
        #expect(try shop.postgres.psql(shop.warehouseURL, "SELECT count(*) FROM etl.watermarks") == "0\n")
        await shop.close()
    }

    /// An old day that is computed again is no success of a job that is to bring yesterday.
    @Test func anOldDayIsNotTheWholeJob() async throws {
        let shop = try await AnalyticsShop(seed: 47)
        let job = Array(shop.jobs(shop.settings(v1: false)).prefix(1))
        let old = try await shop.run(job) { $0.date = AnalyticsShop.first }
        #expect(old.first?.state == .succeeded)
        #expect(old.first?.summary?["isWhole"] == false)
        let usual = try await shop.run(job)
        #expect(usual.first?.state == .succeeded)
        #expect(try #require(usual.first?.summary)["isWhole"] == nil)
        await shop.close()
    }

    /// Every row says which run wrote it and when.
    @Test func everyRowNamesItsRun() async throws {
        let shop = try await AnalyticsShop(seed: 46)
        let records = try await shop.run(shop.jobs(shop.settings(v1: false)), AnalyticsShop.wholeRange)
        let runs = Set(records.map { "\($0.id)" })
        for measure in AnalyticsShop.measures {
            let found = try shop.postgres.psql(shop.warehouseURL, "SELECT DISTINCT run_id FROM \(measure.table)")
            #expect(!found.isEmpty && found.split(separator: "\n").allSatisfy { runs.contains(String($0)) })
        }
        await shop.close()
    }
}
