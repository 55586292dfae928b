import Foundation
import HTTPServer
import HTTPTypes
import Runtime
import Synchronization

/// Liveness, readiness, health and metrics.
struct ProbeRoutes: Sendable {
    let ports: APIPorts

    var routes: [APIRoute] {
        var all: [APIRoute] = []
        for prefix in ["/api/etl", ""] {
            all.append(APIRoute(immediate: "\(prefix)/live") { _ in live() })
            all.append(APIRoute(.get, "\(prefix)/ready", .open) { _ in try await ready() })
            all.append(APIRoute(.get, "\(prefix)/health", .open) { _ in try await health() })
        }
        all.append(APIRoute(.get, "/metrics", .metrics, produces: "text/plain") { try metrics($0) })
        return all
    }

    static let draining = Problem(
        .notReady,
        status: 503,
        "Not ready",
        detail: "The daemon is stopping.",
        members: ["reasons": ["draining: the daemon is stopping"]],
        headers: ["Retry-After": "5"]
    )

    /// Says that the process answers; asks nothing of anybody.
    private func live() -> ServerResponse {
        let now = Date()
        let millisecond = Int64(now.timeIntervalSince1970 * 1_000)
        let body = Self.lastLive.withLock { last in
            if last.millisecond != millisecond {
                let value: JSONValue = ["status": "alive", "timestamp": .string(Timestamp.text(now))]
                last = (millisecond, Array(value.text.utf8))
            }
            return last.body
        }
        return ServerResponse(status: .ok, headers: Self.jsonHeaders, body: .bytes(body))
    }

    /// Made anew when the millisecond that it tells changes.
    private static let lastLive = Mutex<(millisecond: Int64, body: [UInt8])>((-1, []))
    private static let jsonHeaders: HTTPFields = [.contentType: "application/json; charset=utf-8"]

    private func ready() async throws -> ServerResponse {
        guard !ports.isDraining() else { throw Self.draining }
        let reasons = await ports.probes.answers().compactMap { name, result -> String? in
            if case .failed(let reason) = result { "\(name): \(reason)" } else { nil }
        }
        guard reasons.isEmpty else {
            throw Problem(
                .notReady,
                status: 503,
                "Not ready",
                detail: reasons.joined(separator: "; "),
                members: ["ready": false, "reasons": .array(reasons.map { .string($0) })],
                headers: ["Retry-After": "5"]
            )
        }
        return .json(["status": "ready", "ready": true, "timestamp": .string(Timestamp.text(Date()))])
    }

    private func health() async throws -> ServerResponse {
        let results = await ports.probes.answers()
        var connections: [String: JSONValue] = [:]
        var reasons: [JSONValue] = []
        let connected = Set(ports.probes.filter(\.isConnection).map(\.name))
        for (name, result) in results {
            if connected.contains(name) { connections[name] = .bool(result.isOK) }
            if case .failed(let reason) = result { reasons.append(.string("\(name): \(reason)")) }
        }
        let draining = ports.isDraining()
        if draining { reasons.append("draining: the daemon is stopping") }
        let memory = ports.info.memory()
        let now = Date()
        let body: [String: JSONValue] = [
            "status": reasons.isEmpty ? "healthy" : "unhealthy", "timestamp": .string(Timestamp.text(now)),
            "service": .string(ports.info.service), "version": .string(ports.info.version),
            "uptime": .int(Int(now.timeIntervalSince(ports.info.startedAt))), "connections": .object(connections),
            "memory": ["used": .double(rounded(memory.usedMiB)), "total": .double(rounded(memory.totalMiB))],
            "reasons": .array(reasons),
        ]
        return .json(.object(body), status: reasons.isEmpty ? 200 : 503)
    }

    private func metrics(_ request: APIRequest) throws -> ServerResponse {
        try ServerResponse(
            status: .ok,
            headers: [.contentType: "text/plain; version=0.0.4; charset=utf-8"],
            body: .bytes(Array(ports.metricsText().utf8))
        )
        .gzipped(for: request.request)
    }

    private func rounded(_ number: Double) -> Double { (number * 10).rounded() / 10 }
}
