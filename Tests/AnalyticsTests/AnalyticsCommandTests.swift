import Analytics
import Engine
import Foundation
import TestKit
import Testing

/// The built binary, as an operator runs the analytics.
@Suite(.serialized) struct AnalyticsCommandTests {
    private static func environment(_ shop: AnalyticsShop, v1: Bool = false) -> [String: String] {
        [
            "ANALYTICS_SOURCE_URL": shop.sourceURL, "ANALYTICS_WAREHOUSE_URL": shop.warehouseURL,
            "PII_TOKEN_KEY": AnalyticsShop.key, "ENABLE_V1_SCHEMA": "\(v1)", "ENABLE_LEGACY_ETL": "\(v1)",
            "ANALYTICS_TIMEZONE": shop.zone, "APP_ENV": "production",
        ]
    }

    private static let range = ["--start-date", AnalyticsShop.first, "--end-date", AnalyticsShop.last]

    private static func object(_ text: String) throws -> [String: Any] {
        try #require(try JSONSerialization.jsonObject(with: Data(text.utf8)) as? [String: Any])
    }

    @Test func theWholeFamilyRunsAtOnce() async throws {
        let shop = try await AnalyticsShop(seed: 91)
        let environment = Self.environment(shop, v1: true)
        let ended = try TallymanBinary.run(["run", "analytics", "--all", "--json"] + Self.range, environment)
        #expect(ended.exit == .code(0), "\(ended.errorText)")
        let runs = try #require(try Self.object(ended.outputText)["runs"] as? [[String: Any]])
        #expect(
            runs.compactMap { $0["job"] as? String }
                == ["user_analytics", "order_analytics", "payment_analytics", "notification_analytics"]
        )
        let expected = try shop.expected(v1: true, legacy: true)
        let stored = try shop.stored()
        #expect(stored == expected, "\(difference(stored, expected))")
        let lines = ended.errorText.split(separator: "\n").filter { $0.contains("deprecated") }
        #expect(lines.count == 4, "one line a run")
        let scan = try TallymanBinary.run(["run", "pii-scan"], environment)
        #expect(scan.exit == .code(0), "\(scan.errorText)")
        await shop.close()
    }

    /// A job that fails does not stop the others; the exit code says that one did. One session at the source is enough.
    @Test func oneThatFailsDoesNotStopTheOthers() async throws {
        let shop = try await AnalyticsShop(seed: 92)
        try shop.postgres.psql(shop.sourceURL, "DROP TABLE payments_v2")
        var environment = Self.environment(shop)
        environment["ANALYTICS_SOURCE_CONNECTIONS"] = "1"
        let ended = try TallymanBinary.run(
            ["run", "analytics", "--all", "--json", "--date", "2026-03-30"],
            environment
        )
        #expect(ended.exit == .code(1), "\(ended.errorText)")
        let runs = try #require(try Self.object(ended.outputText)["runs"] as? [[String: Any]])
        let good = runs.filter { $0["success"] as? Bool == true }.compactMap { $0["job"] as? String }
        #expect(good == ["user_analytics", "order_analytics", "notification_analytics"])
        #expect(ended.outputText.contains("ENABLE_V1_SCHEMA is false, but the source has no table"))
        await shop.close()
    }

    /// INV-7: killed at any point, the next run ends in the tables of one clean pass.
    @Test(arguments: [
        "analytics.staged:4", "write.afterFence:4", "write.beforeCommit:4", "write.afterCommit:4",
        "run.beforeFinish:1",
    ])
    func aKilledBackfillIsFinishedByTheNext(point: String) async throws {
        let shop = try await AnalyticsShop(seed: 93)
        var environment = Self.environment(shop)
        let jobs = ["order_analytics", "payment_analytics"]
        for job in jobs {
            let arguments = ["run", job, "--backfill", "--batch-days", "2", "--json"] + Self.range
            environment["TALLYMAN_FAILPOINT"] = point
            #expect(try TallymanBinary.run(arguments, environment).exit == .signal(SIGKILL), "the failpoint kills")
            environment["TALLYMAN_FAILPOINT"] = nil
            let ended = try TallymanBinary.run(arguments, environment)
            #expect(ended.exit == .code(0), "\(ended.errorText)")
            if point.hasPrefix("analytics.staged") { #expect(ended.outputText.contains("\"daysResumed\":6")) }
        }
        let areas = Measure.ofOrders + Measure.ofPayments
        let stored = try shop.stored()
        let expected = try shop.expected(v1: false).filter { line in
            areas.contains { line.hasPrefix("\($0.table)|") }
        }
        #expect(stored == expected, "\(difference(stored, expected))")
        let states = try shop.postgres.psql(
            shop.warehouseURL,
            "SELECT string_agg(state, ',' ORDER BY queued_at) FROM etl.runs"
        )
        #expect(states == "interrupted,succeeded,interrupted,succeeded\n")
        let leftovers = try shop.postgres.psql(
            shop.warehouseURL,
            "SELECT count(*) FROM pg_class WHERE relname LIKE 'tallyman_stage%'"
        )
        #expect(leftovers == "0\n")
        await shop.close()
    }

    @Test func forgettingAPersonIsRecorded() async throws {
        let shop = try await AnalyticsShop(seed: 94)
        let environment = Self.environment(shop)
        let run = ["run", "user_analytics", "--date", AnalyticsShop.last]
        #expect(try TallymanBinary.run(run, environment).exit == .code(0))
        let token = try shop.postgres.psql(shop.warehouseURL, "SELECT min(user_token) FROM user_activity")
            .trimmingCharacters(in: .newlines)
        let count = "SELECT count(*) FROM user_activity WHERE user_token = '\(token)'"
        let tried = try TallymanBinary.run(["forget", "--token", token, "--dry-run", "--json"], environment)
        #expect(tried.exit == .code(0) && tried.outputText.contains("\"rowsFound\":1"), "\(tried.errorText)")
        #expect(try shop.postgres.psql(shop.warehouseURL, count) == "1\n")
        let done = try TallymanBinary.run(["forget", "--token", token, "--json"], environment)
        #expect(done.exit == .code(0) && done.outputText.contains("\"rowsRemoved\":1"), "\(done.errorText)")
        #expect(try shop.postgres.psql(shop.warehouseURL, count) == "0\n")
        #expect(try TallymanBinary.run(run, environment).exit == .code(0))
        #expect(try shop.postgres.psql(shop.warehouseURL, count) == "0\n", "a later run keeps the person away")
        let noted = try shop.postgres.psql(
            shop.warehouseURL,
            "SELECT rows_removed, (SELECT count(*) FROM etl.runs WHERE id = run_id AND job = 'pii_forget') "
                + "FROM analytics.erasures WHERE token_digest = sha256('\(token)')"
        )
        #expect(noted == "1|1\n")
        let kept = try shop.postgres.psql(
            shop.warehouseURL,
            "SELECT count(*) FROM etl.runs r WHERE r::text LIKE '%\(token)%'"
        )
        #expect(kept == "0\n", "the ledger does not keep the token")
        let again = try TallymanBinary.run(["forget", "--token", token], environment)
        #expect(again.exit == .code(4) && again.errorText.contains("Nobody"), "\(again.errorText)")
        let nobody = "usr_1_" + String(repeating: "0", count: 64)
        let probed = try TallymanBinary.run(["forget", "--token", nobody, "--dry-run", "--json"], environment)
        #expect(probed.exit == .code(4) && probed.outputText.contains("\"rowsFound\":0"), "\(probed.errorText)")
        var v1 = environment
        v1["ENABLE_V1_SCHEMA"] = "true"
        let unknown = "usr_7_" + String(repeating: "0", count: 64)
        let refused = try TallymanBinary.run(["forget", "--token", unknown], v1)
        #expect(refused.exit == .code(2) || refused.exit == .code(1))
        #expect(refused.errorText.contains("key version 7, which is not configured"), "\(refused.errorText)")
        let noToken = try TallymanBinary.run(["forget", "--token", "jane@example.org"], environment)
        #expect(noToken.exit != .code(0) && !(noToken.errorText + noToken.outputText).contains("jane@"))
        await shop.close()
    }

    @Test func withoutAKeyThereIsNoRun() async throws {
        let shop = try await AnalyticsShop()
        var environment = Self.environment(shop)
        environment["PII_TOKEN_KEY"] = nil
        let none = try TallymanBinary.run(["run", "user_analytics"], environment)
        #expect(none.exit == .code(2) && none.errorText.contains("PII_TOKEN_KEY"))
        environment["PII_TOKEN_KEY"] = "too short"
        environment["ANALYTICS_LOOKBACK_DAYS"] = "-1"
        environment["USER_ANALYTICS_CRON_SCHEDULE"] = "never"
        let bad = try TallymanBinary.run(["run", "user_analytics"], environment)
        #expect(bad.exit == .code(2) && !bad.errorText.contains("too short"))
        for name in ["PII_TOKEN_KEY", "ANALYTICS_LOOKBACK_DAYS", "USER_ANALYTICS_CRON_SCHEDULE"] {
            #expect(bad.errorText.contains(name))
        }
        await shop.close()
    }

    /// The doctor compares the flags with the tables before a run does.
    @Test func theDoctorSeesAContradiction() async throws {
        let shop = try await AnalyticsShop(seed: 95)
        try shop.postgres.psql(shop.sourceURL, "DROP TABLE users, orders, payments, notifications")
        let good = try TallymanBinary.run(["doctor"], Self.environment(shop))
        #expect(good.exit == .code(0), "\(good.outputText)")
        #expect(good.outputText.contains("ip_country") && !good.outputText.contains("ON TABLE users TO"))
        #expect(good.outputText.contains("its v2 tables give \(Measure.all.count) measures"))
        let bad = try TallymanBinary.run(["doctor"], Self.environment(shop, v1: true))
        #expect(bad.exit == .code(1))
        #expect((bad.outputText + bad.errorText).contains("ENABLE_V1_SCHEMA is true, but the source has no table"))
        await shop.close()
    }

    /// The days' zone is that of their schedules, whatever zone all others are in.
    @Test func schedulesAreInTheZoneOfTheDays() async throws {
        let shop = try await AnalyticsShop()
        var environment = Self.environment(shop)
        environment["TIMEZONE"] = "Asia/Tokyo"
        environment["ANALYTICS_TIMEZONE"] = nil
        let ended = try TallymanBinary.run(["jobs", "--json"], environment)
        #expect(ended.exit == .code(0), "\(ended.errorText)")
        let jobs = try #require(try Self.object(ended.outputText)["jobs"] as? [[String: Any]])
        let zones = jobs.reduce(into: [String: String]()) { zones, job in
            guard let name = job["job"] as? String else { return }
            zones[name] = job["timeZone"] as? String
        }
        for area in AnalyticsJob.areas {
            let zone = zones[area.name.rawValue]
            #expect(zone == "UTC" || zone == "GMT", "\(ended.outputText)")
        }
        await shop.close()
    }

    @Test func theFiveSchedulesAreStaggeredAfterMidnight() async throws {
        let shop = try await AnalyticsShop()
        let ended = try TallymanBinary.run(["jobs", "--json"], Self.environment(shop))
        #expect(ended.exit == .code(0), "\(ended.errorText)")
        for expression in ["10 0 * * *", "20 0 * * *", "30 0 * * *", "40 0 * * *", "30 2 * * *"] {
            #expect(ended.outputText.contains(expression), "\(expression)")
        }
        await shop.close()
    }
}
