import Engine
import Foundation
import HTTPServer
import HTTPTypes
import Runtime

/// What the console and `tallyman top` look at: everything at a glance, and what ran when.
struct OverviewRoutes: Sendable {
    /// A timeline has at most this many stretches a job.
    static let stretchesMax = 288
    static let hoursRange = 1...744

    private struct Window: Hashable {
        let hours: Int
        let job: String?
    }

    let ports: APIPorts
    private let overview = SharedAnswer<Int>(freshFor: .milliseconds(800))
    private let timeline = SharedAnswer<Window>(freshFor: .seconds(3))

    init(ports: APIPorts) { self.ports = ports }

    var routes: [APIRoute] {
        [
            APIRoute(.get, "/api/etl/overview", .read) { try await overview($0) },
            APIRoute(.get, "/api/etl/timeline", .read) { try await timeline($0) },
        ]
    }

    private func overview(_ request: APIRequest) async throws -> ServerResponse {
        try request.allowQuery()
        let shared = try await overview.value(0) { OverviewAnswer.body(await OverviewAnswer.gather(ports), ports) }
        var members = shared.object ?? [:]
        members["caller"] = [
            "name": .string(request.caller.name),
            "scopes": .array(request.caller.scopes.map(\.rawValue).sorted().map { .string($0) }),
        ]
        return .json(.object(members))
    }

    private func timeline(_ request: APIRequest) async throws -> ServerResponse {
        try request.allowQuery("hours", "job")
        let hours = try request.queryInt("hours", in: Self.hoursRange, default: 24)
        let job = request.queryValue("job")
        if let job, !ports.runs.jobs.contains(where: { $0.name.rawValue == job }) {
            throw Problem.jobUnknown(ports.runs.jobs.map(\.name.rawValue))
        }
        return .json(
            try await timeline.value(Window(hours: hours, job: job)) {
                let to = try await ports.runs.now()
                let from = to.addingTimeInterval(Double(-hours) * 3_600)
                let stretch = hours * 3_600 / Self.stretchesMax
                let spans = try await ports.runs.timeline(
                    from: from,
                    to: to,
                    stretchSeconds: stretch,
                    job: job.map { JobName(rawValue: $0) }
                )
                return [
                    "success": true, "from": .string(Timestamp.text(from)), "to": .string(Timestamp.text(to)),
                    "stretchSeconds": .int(stretch), "spans": .array(spans.map(Self.span)),
                    "truncated": .bool(spans.count >= Ledger.spansMax),
                ]
            }
        )
    }

    private static func span(_ span: TimelineSpan) -> JSONValue {
        let counts = (span.counts?.object ?? [:]).compactMapValues(\.int)
        return [
            "job": .string(span.job.rawValue), "from": .string(Timestamp.text(span.began)),
            "to": .string(Timestamp.text(span.ended)), "runs": .int(span.runs), "dryRuns": .int(span.dryRuns),
            "states": .object(
                Dictionary(uniqueKeysWithValues: span.states.map { ($0.key.rawValue, .int($0.value)) })
            ),
            "runId": .string(span.run.description), "seconds": .double(rounded(span.seconds)),
            "longestSeconds": .double(rounded(span.longestSeconds)), "rows": .int(span.rows),
            "drift": Drift(foundIn: counts).map(OverviewAnswer.drift) ?? .null,
        ]
    }

    private static func rounded(_ seconds: Double) -> Double { (seconds * 1000).rounded() / 1000 }
}
