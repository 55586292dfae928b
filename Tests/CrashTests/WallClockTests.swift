import Foundation
import TestKit
import Testing

/// A real daemon under a clock that jumps, and at the hours of the year that schedules stumble over.
@Suite struct WallClockTests {
    struct Scene: Sendable, CustomTestStringConvertible {
        let name: String
        let zone: String
        let cron: String
        /// The clock is set to each in turn, a few seconds before something is due.
        let moments: [String]
        /// What must have fired by the end, and nothing else.
        let fires: [String]
        var testDescription: String { name }
    }

    private static let scenes = [
        Scene(
            name: "spring forward: a fixed time inside the gap fires right after it",
            zone: "Europe/Paris",
            cron: "30 2 * * *",
            moments: ["2026-03-29T00:59:44Z"],
            fires: ["2026-03-29 01:00:00+00"]
        ),
        Scene(
            name: "spring forward: a wildcard follows the new clock",
            zone: "Europe/Paris",
            cron: "*/30 * * * *",
            moments: ["2026-03-29T00:59:44Z"],
            fires: ["2026-03-29 01:00:00+00"]
        ),
        Scene(
            name: "fall back: a fixed time fires the first time only",
            zone: "Europe/Paris",
            cron: "30 2 * * *",
            moments: ["2026-10-25T00:29:44Z", "2026-10-25T01:29:44Z"],
            fires: ["2026-10-25 00:30:00+00"]
        ),
        Scene(
            name: "fall back: a wildcard fires both times",
            zone: "Europe/Paris",
            cron: "*/30 * * * *",
            moments: ["2026-10-25T00:29:44Z", "2026-10-25T01:29:44Z"],
            fires: ["2026-10-25 00:30:00+00", "2026-10-25 01:00:00+00", "2026-10-25 01:30:00+00"]
        ),
        Scene(
            name: "leap day",
            zone: "UTC",
            cron: "0 0 29 2 *",
            moments: ["2028-02-28T23:59:44Z", "2028-02-29T23:59:44Z"],
            fires: ["2028-02-29 00:00:00+00"]
        ),
        Scene(
            name: "two hours forward make up one, two hours back none",
            zone: "UTC",
            cron: "*/10 * * * *",
            moments: [
                "2026-06-01T09:59:44Z", "2026-06-01T11:59:44Z", "2026-06-01T10:09:44Z", "2026-06-01T12:09:44Z",
            ],
            fires: [
                "2026-06-01 10:00:00+00", "2026-06-01 11:50:00+00", "2026-06-01 12:00:00+00",
                "2026-06-01 12:10:00+00",
            ]
        ),
    ]

    @Test(arguments: scenes)
    func firesWhatIsDue(scene: Scene) async throws {
        let replicas = try await Replicas.make(products: 20)
        let clock = try FakeTime()
        let style = Date.ISO8601FormatStyle()
        let moments = try scene.moments.map { try style.parse($0) }
        // It leads, and has put on record from when its schedules count, before the first moment comes.
        try clock.set(to: moments[0].addingTimeInterval(-90))
        let daemon = try await replicas.daemon(
            clock.environment.merging(["SYNC_CRON_SCHEDULE": scene.cron, "TIMEZONE": scene.zone]) { $1 }
        )
        try await Eventually.holds("its schedules count") {
            try replicas.psql("SELECT count(*) FROM etl.fires WHERE outcome = 'baseline'") == "2"
        }
        for moment in moments {
            try clock.set(to: moment)
            try await Self.passTheMinute(after: moment, daemon)
        }
        try await Eventually.holds("all fires are settled") {
            try replicas.psql("SELECT count(*) FROM etl.fires WHERE outcome = 'due'") == "0"
        }
        let fired = try replicas.psql(
            "SELECT instant FROM etl.fires WHERE outcome = 'started' AND job = 'product_sync' ORDER BY 1"
        )
        #expect(fired.split(separator: "\n").map(String.init) == scene.fires)
        try await replicas.runs(scene.fires.count, are: "succeeded")
        #expect(try replicas.illegal() == "")
        replicas.source.stop()
    }

    /// Returns when the daemon's own clock has passed the full minute after `moment` (sixteen seconds later) by three:
    /// what was due has fired.
    private static func passTheMinute(after moment: Date, _ daemon: Daemon) async throws {
        let style = Date.ISO8601FormatStyle(includingFractionalSeconds: true)
        func clock() async throws -> Date? {
            let text = try await daemon.send("GET", "/api/etl/status").text
            guard let key = text.range(of: "\"timestamp\":\"", options: .backwards) else { return nil }
            return try style.parse(String(text[key.upperBound...].prefix { $0 != "\"" }))
        }
        try await Eventually.holds("the new clock is seen", within: .seconds(90)) {
            abs(try await clock()?.timeIntervalSince(moment) ?? .infinity) < 300
        }
        try await Eventually.holds("the minute is over", within: .seconds(90)) {
            try await clock()?.timeIntervalSince(moment) ?? 0 >= 19
        }
    }
}
