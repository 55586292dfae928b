import Foundation
import HTTPServer
import HTTPTypes
import Telemetry
import TestKit
import Testing

/// What needs a process of its own: its limits are changed, its threads and memory measured.
@Suite struct ExhaustionTests {
    /// Not under the thread sanitizer: it starts its symboliser when it reports, and without a descriptor it cannot, so
    /// that no line of Tests/tsan.supp would match.
    @Test(.enabled(if: Sanitizer.name != "thread"))
    func aProcessWithoutDescriptorsAnswersAgainAsSoonAsItCan() async throws {
        await #expect(processExitsWith: .success) {
            try await TestServer.run { server in
                // What epoll, timers and threads open on first use is open now.
                let first = try server.client()
                first.send(get("/hello"))
                try await first.wait(for: "hello")
                let sockets = (0..<30).map { _ in RawClient.unconnected() }
                let open = try FileManager.default.contentsOfDirectory(atPath: "/proc/self/fd").count
                try Limits.files(open + 10)
                var holders: [RawClient] = []
                for socket in sockets.dropLast() {
                    holders.append(try RawClient(port: server.port, descriptor: socket, reads: false))
                }
                let probe = try RawClient(port: server.port, descriptor: sockets[29])
                probe.send(get("/hello"))
                try await probe.wait(for: "hello")
                let evicted = server.metrics.value("http_connections_evicted_total") ?? 0
                try #require(evicted > 0, "the limit was never reached")
                for holder in holders { holder.close() }
            }
        }
    }

    /// INV-8: whoever is slow costs a descriptor and a few KiB, never a thread.
    @Test func slowClientsCostNoThreadAndLittleMemory() async throws {
        await #expect(processExitsWith: .success) {
            try await TestServer.run { server in
                let first = try server.client()
                first.send(get("/hello"))
                try await first.wait(for: "hello")
                let (threads, memory) = try (Limits.threads(), Limits.residentKiB())
                var slow: [RawClient] = []
                for _ in 0..<400 {
                    let client = try server.client(reads: false)
                    client.send("GET /hello HTTP/1.1\r\nHost: a")
                    slow.append(client)
                }
                let probe = try server.client()
                probe.send(get("/hello"))
                try await probe.wait(for: "hello")
                try #require(server.metrics.value("http_connections") == 402)
                let each = (try Limits.residentKiB() - memory) / 400
                try #require(try Limits.threads() - threads < 20, "a connection holds a thread")
                // A sanitizer keeps several bytes of its own for each of ours.
                try #require(each < 32 || Sanitizer.name != nil, "\(each) KiB each")
                for client in slow { client.close() }
            }
        }
    }
}

/// The sanitizer that `bin/test --sanitizers` built the tests with.
enum Sanitizer {
    static var name: String? { ProcessInfo.processInfo.environment["TALLYMAN_SANITIZER"] }
}

enum Limits {
    static func files(_ count: Int) throws {
        var limit = rlimit(rlim_cur: rlim_t(count), rlim_max: rlim_t(count))
        guard setrlimit(__rlimit_resource_t(RLIMIT_NOFILE.rawValue), &limit) == 0 else {
            throw TestServiceMissing("no limit of files: errno \(errno)")
        }
    }

    static func threads() throws -> Int {
        try FileManager.default.contentsOfDirectory(atPath: "/proc/self/task").count
    }

    static func residentKiB() throws -> Int {
        let text = try String(contentsOfFile: "/proc/self/statm", encoding: .utf8)
        return (Int(text.split(separator: " ")[1]) ?? 0) * 4
    }
}
