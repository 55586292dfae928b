package import Foundation
import FoundationNetworking
import Runtime

/// `tallyman serve` on a port of its own, as one replica of several.
package final class Daemon: Sendable {
    package struct Answer: Sendable {
        package let status: Int
        package let text: String
    }

    package let child: ChildProcess
    package let port: Int
    private let session: URLSession

    /// Starts it; `ready` says when it answers. Its schedules are silent unless `settings` say otherwise.
    package init(_ settings: [String: String]) throws {
        port = try Sockets.freePort()
        var all = settings
        all["PORT"] = "\(port)"
        for name in ["SYNC_CRON_SCHEDULE", "HEALTH_CHECK_CRON_SCHEDULE"] where all[name] == nil {
            all[name] = "0 0 1 1 *"
        }
        for (name, value) in ["LOG_LEVEL": "notice", "LOG_FORMAT": "json"] where all[name] == nil { all[name] = value }
        child = try TallymanBinary.start(["serve"], all)
        let configuration = URLSessionConfiguration.ephemeral
        configuration.timeoutIntervalForRequest = 20
        session = URLSession(configuration: configuration)
    }

    deinit { session.invalidateAndCancel() }

    package var pid: pid_t { child.pid }
    package func signal(_ number: Int32) { child.signal(number) }

    /// One request; throws when nobody answers.
    package func send(_ method: String, _ path: String, headers: [String: String] = [:], body: String? = nil)
        async throws -> Answer
    {
        guard let url = URL(string: "http://127.0.0.1:\(port)\(path)") else { throw TestServiceMissing(path) }
        var request = URLRequest(url: url)
        request.httpMethod = method
        for (name, value) in headers { request.setValue(value, forHTTPHeaderField: name) }
        if let body {
            request.setValue("application/json", forHTTPHeaderField: "Content-Type")
            request.httpBody = Data(body.utf8)
        }
        let (data, response) = try await session.data(for: request)
        let status = (response as? HTTPURLResponse)?.statusCode ?? 0
        return Answer(status: status, text: String(decoding: data, as: UTF8.self))
    }

    /// Asks for a run of a job and does not wait for its end.
    package func start(_ job: String) async throws -> Answer {
        try await send("POST", "/api/etl/jobs/\(job)/run", headers: ["Prefer": "respond-async"], body: "{}")
    }

    /// Returns once it answers requests. Throws what it said when it ended instead.
    package func ready(within limit: Duration = .seconds(60)) async throws {
        try await Eventually.holds("the daemon answers", within: limit) {
            if child.progress.value.exit != nil { throw TestServiceMissing(child.progress.value.errorText) }
            return (try? await send("GET", "/live").status) == 200
        }
    }

    /// Whether the kernel has stopped it: SIGSTOP, or a failpoint that froze it.
    package var isStopped: Bool {
        guard let text = try? String(contentsOfFile: "/proc/\(pid)/stat", encoding: .utf8),
            let bracket = text.lastIndex(of: ")")
        else { return false }
        return text[text.index(bracket, offsetBy: 2)...].hasPrefix("T")
    }
}

/// Waits for something that tells nobody when it happens: another process, a row in a database.
package enum Eventually {
    /// Looks every 50 ms. Throws naming `what` when it has not come about within `limit`, and what `condition` throws.
    @discardableResult
    package static func holds(
        _ what: String,
        within limit: Duration = .seconds(30),
        _ condition: () async throws -> Bool
    ) async throws -> Duration {
        let clock = ContinuousClock()
        let began = clock.now
        while clock.now - began < limit {
            if try await condition() { return clock.now - began }
            try await clock.sleep(for: .milliseconds(50))
        }
        throw TestServiceMissing("not within \(limit): \(what)")
    }
}
