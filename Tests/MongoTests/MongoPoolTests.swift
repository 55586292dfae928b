import Glibc
import Mongo
import Runtime
import Testing

/// A port on which connections are taken by the kernel and nobody ever says a word.
final class SilentServer: Sendable {
    let port: UInt16
    /// nil once closed: the kernel gives the number of a closed descriptor to the next connection of any test.
    private let descriptor: Shared<Int32?>
    private let peers = Shared<[Int32]>([])

    init() throws {
        let descriptor = socket(AF_INET, Int32(SOCK_STREAM.rawValue), 0)
        var address = sockaddr_in()
        address.sin_family = sa_family_t(AF_INET)
        address.sin_addr.s_addr = UInt32(0x7F00_0001).bigEndian
        var length = socklen_t(MemoryLayout<sockaddr_in>.size)
        let bound = withUnsafeMutablePointer(to: &address) { pointer in
            pointer.withMemoryRebound(to: sockaddr.self, capacity: 1) {
                bind(descriptor, $0, length) == 0 && listen(descriptor, 16) == 0
                    && getsockname(descriptor, $0, &length) == 0
            }
        }
        try #require(bound)
        self.descriptor = Shared(descriptor)
        port = UInt16(bigEndian: address.sin_port)
    }

    /// Returns once the driver has opened a connection: its call is under way.
    func connected() async {
        guard let descriptor = descriptor.value else { return }
        _ = fcntl(descriptor, F_SETFL, O_NONBLOCK)
        while !Task.isCancelled {
            let peer = accept(descriptor, nil, nil)
            if peer >= 0 {
                peers.change { $0.append(peer) }
                return
            }
            await Task.yield()
        }
    }

    func stop() {
        for peer in peers.change({ peers in
            defer { peers = [] }
            return peers
        }) { close(peer) }
        if let open = descriptor.change({ $0.take() }) { close(open) }
    }
    deinit { stop() }
}

@Suite(.timeLimit(.minutes(1))) struct MongoPoolTests {
    private func pool(
        port: UInt16,
        poolMax: Int = 2,
        options: String = "",
        acquireTimeout: Duration = .seconds(10)
    ) throws -> MongoPool {
        let settings = try MongoSettings(
            url: Secret("mongodb://127.0.0.1:\(port)/product\(options)"),
            applicationName: "tallyman-test",
            poolMax: poolMax
        )
        return try MongoPool(settings, acquireTimeout: acquireTimeout)
    }

    /// The driver itself would wait ten minutes: who returns within the suite's limit was cancelled.
    private static let patient = "?connectTimeoutMS=600000&serverSelectionTimeoutMS=600000&socketTimeoutMS=600000"

    /// Runs a find that gets no answer and cancels it; what it threw.
    private func cancelledFind(_ pool: MongoPool, _ server: SilentServer) async throws -> (any Error)? {
        try await withThrowingTaskGroup(of: (any Error)?.self) { group in
            group.addTask {
                do {
                    _ = try await pool.withSession { try await $0.find(MongoFind(collection: "c")) { _ in } }
                    return nil
                } catch {
                    return error
                }
            }
            await server.connected()
            group.cancelAll()
            return try await group.next() ?? nil
        }
    }

    /// Returns once every slot came back, which is a moment after its session ended; a lost one runs into the time
    /// limit.
    private func drained(_ pool: MongoPool) async {
        while !Task.isCancelled, pool.stats.inUse > 0 || pool.stats.waiting > 0 { await Task.yield() }
    }

    @Test func aCancelledFindReturnsAtOnce() async throws {
        let server = try SilentServer()
        let pool = try pool(port: server.port, options: Self.patient)
        #expect(try await cancelledFind(pool, server) is CancellationError)
        server.stop()
        await pool.close()
    }

    @Test func aCallNobodyWaitsForKeepsItsSlot() async throws {
        let server = try SilentServer()
        let pool = try pool(port: server.port, poolMax: 1, options: Self.patient, acquireTimeout: .milliseconds(50))
        _ = try await cancelledFind(pool, server)
        #expect(pool.stats == MongoPool.Stats(inUse: 1, waiting: 0, max: 1))
        let error = await #expect(throws: TallyError.self) {
            try await pool.withSession { _ in }
        }
        #expect(error?.kind == .deadlineExceeded)
        server.stop()
        await pool.close()
    }

    @Test func aSilentServerIsUnreachableInTime() async throws {
        let server = try SilentServer()
        let pool = try pool(port: server.port, options: "?connectTimeoutMS=100&serverSelectionTimeoutMS=300")
        let error = await #expect(throws: TallyError.self) {
            try await pool.withSession { try await $0.count("c") }
        }
        #expect(error?.kind == .sourceUnreachable)
        #expect(error?.mongoError?.domain == .serverSelection)
        #expect(error?.disposition == .retry)
    }

    @Test func aRefusedConnectionIsUnreachable() async throws {
        let server = try SilentServer()
        let port = server.port
        server.stop()
        let pool = try pool(port: port, options: "?serverSelectionTimeoutMS=200")
        let error = await #expect(throws: TallyError.self) {
            try await pool.withSession { try await $0.command(bson { $0.append("ping", int32: 1) }) }
        }
        #expect(error?.kind == .sourceUnreachable)
    }

    @Test func pingHasADeadlineOfItsOwnPlace() async throws {
        let server = try SilentServer()
        let pool = try pool(port: server.port, poolMax: 1)
        let error = await #expect(throws: TallyError.self) { try await pool.ping(timeout: .milliseconds(50)) }
        #expect(error?.kind == .deadlineExceeded)
        await drained(pool)
    }

    @Test func slotsAreBounded() async throws {
        let server = try SilentServer()
        let pool = try pool(port: server.port, poolMax: 3, acquireTimeout: .seconds(50))
        let peak = Shared((now: 0, most: 0))
        try await withThrowingTaskGroup(of: Void.self) { group in
            for _ in 0..<50 {
                group.addTask {
                    try await pool.withSession { _ in
                        peak.change { $0 = ($0.now + 1, max($0.most, $0.now + 1)) }
                        for _ in 0..<20 { await Task.yield() }
                        peak.change { $0.now -= 1 }
                    }
                }
            }
            try await group.waitForAll()
        }
        #expect((1...3).contains(peak.value.most))
        await drained(pool)
    }

    /// Property: however waiting tasks are cancelled, every slot comes back.
    @Test(arguments: 1...20)
    func cancelledWaitersLoseNoSlot(seed: UInt64) async throws {
        let server = try SilentServer()
        let pool = try pool(port: server.port, poolMax: 2)
        var random = Seeded(seed)
        await withTaskGroup(of: Void.self) { group in
            for _ in 0..<30 {
                let yields = Int.random(in: 0...30, using: &random)
                let impatient = Bool.random(using: &random)
                group.addTask {
                    await withTaskGroup(of: Void.self) { inner in
                        inner.addTask {
                            try? await pool.withSession { _ in for _ in 0..<yields { await Task.yield() } }
                        }
                        for _ in 0..<yields { await Task.yield() }
                        if impatient { inner.cancelAll() }
                    }
                }
            }
        }
        await drained(pool)
    }

    @Test func aSessionEndsWithItsBody() async throws {
        let server = try SilentServer()
        let pool = try pool(port: server.port)
        let kept = Shared<MongoSession?>(nil)
        try await pool.withSession { session in kept.change { $0 = session } }
        let session = try #require(kept.value)
        let error = await #expect(throws: TallyError.self) { try await session.count("c") }
        #expect(error?.kind == .cancelled)
    }

    @Test func aClosedPoolRefuses() async throws {
        let server = try SilentServer()
        let pool = try pool(port: server.port)
        await pool.close()
        await #expect(throws: CancellationError.self) { try await pool.withSession { try await $0.count("c") } }
    }
}

extension TallyError {
    fileprivate var disposition: Disposition { kind.disposition }
}
