package import CoreMetrics
package import Logging
import Runtime
import ServiceLifecycle
import Synchronization
import Telemetry

/// The HTTP server: listens, serves each connection as a child task, stops gracefully.
package final class Server: Service {
    /// What a connection's task asks often, without the lock.
    private final class Seat: Sendable {
        let stream: SocketStream
        let isEvicted = Atomic(false)

        init(_ stream: SocketStream) { self.stream = stream }
    }

    private struct State {
        var isDraining = false
        /// `admit` waits for a connection that may be closed.
        var isFull = false
        var port: Int?
        var table: ConnectionTable
        var seats: [ConnectionTable.ID: Seat] = [:]
    }

    private let configuration: HTTPServerConfiguration
    private let router: Router
    private let logger: Logger
    private let metric: HTTPMetric
    private let state: Mutex<State>
    /// The same as `State.isDraining`, without the lock.
    private let isDraining = Atomic(false)
    private let listening = TestSignal()
    /// Told when a connection has gone or may be closed, for an `admit` that waits.
    private let freed = BoundedChannel<Void>(capacity: 1)

    /// - Parameter metrics: where metrics go; nil for the one this process was started with.
    package init(
        configuration: HTTPServerConfiguration,
        router: Router,
        logger: Logger,
        metrics: (any MetricsFactory)? = nil
    ) {
        self.configuration = configuration
        self.router = router
        self.logger = logger
        metric = HTTPMetric(metrics ?? MetricsSystem.factory)
        state = Mutex(State(table: ConnectionTable(max: configuration.connectionsMax)))
    }

    /// The port that is listened on, once it is.
    package var boundPort: Int {
        get async {
            await listening.wait()
            return state.withLock { $0.port ?? 0 }
        }
    }

    /// Serves until the service group shuts down: no new connection, idle ones closed, running requests finished.
    ///
    /// When the task is cancelled, as a service group does at its deadline, handlers are cancelled and the rest is
    /// closed. Throws `.settingsInvalid` when the address cannot be listened on.
    package func run() async throws {
        Shards.prepare()
        let listener = try SocketListener(host: configuration.host, port: configuration.port)
        fitConnectionsToDescriptors()
        state.withLock { $0.port = listener.port }
        listening.fire()
        logger.event(.notice, "listening", [.host: configuration.host, .port: "\(listener.port)"])
        await withGracefulShutdownHandler {
            await withTaskCancellationHandler {
                await withDiscardingTaskGroup { group in
                    while let stream = await listener.accept(exhausted: { self.makeRoom() }) {
                        let seat = Seat(stream)
                        guard let number = await self.admit(seat) else {
                            stream.close()
                            continue
                        }
                        group.addTask(executorPreference: stream.shard) { await self.serve(seat, number) }
                    }
                }
            } onCancel: {
                listener.close()
                self.drain()
            }
        } onGracefulShutdown: {
            listener.close()
            self.drain()
        }
    }

    /// Where this process may not open enough files, fewer connections are allowed: what the rest of it needs (database
    /// sessions, Dispatch) must not be taken by clients.
    private func fitConnectionsToDescriptors() {
        let others = 256
        let files = DescriptorLimit.raise(to: configuration.connectionsMax + others)
        let max = Swift.max(1, files - Swift.min(others, files / 4))
        guard max < configuration.connectionsMax else { return }
        state.withLock { $0.table = ConnectionTable(max: max) }
        logger.event(.warning, "fewer connections than set: the limit of open files is low", [.count: "\(max)"])
    }

    /// Nil when the server stops.
    private func admit(_ seat: Seat) async -> ConnectionTable.ID? {
        while true {
            let admission = state.withLock { state -> ConnectionTable.Admission? in
                guard !state.isDraining else { return nil }
                let admission = state.table.admit()
                state.isFull = admission == .full
                if case .admitted(let id) = admission { state.seats[id] = seat }
                if case .admittedInsteadOf(_, let id) = admission { state.seats[id] = seat }
                return admission
            }
            switch admission {
            case nil: return nil
            case .admitted(let id):
                metric.opened()
                return id
            case .admittedInsteadOf(let victim, let id):
                metric.opened()
                close(victim)
                return id
            case .full:
                // All are busy with handlers: whoever comes waits in the kernel's queue until one has ended.
                guard (try? await freed.receive()) != nil else { return nil }
            }
        }
    }

    /// Closes the connection that has waited longest, when the process has no descriptor left.
    private func makeRoom() {
        logger.event(.warning, "no file descriptor is left for a connection")
        if let victim = state.withLock({ $0.table.evict() }) { close(victim) }
    }

    /// Ends an evicted connection; its own task says so to the client and closes it.
    private func close(_ victim: ConnectionTable.ID) {
        metric.evicted()
        let (seat, isSending) = state.withLock { state in
            (state.seats[victim], state.table.all(in: .sending, .streaming).contains(victim))
        }
        seat?.isEvicted.store(true, ordering: .releasing)
        if isSending { seat?.stream.abort() } else { seat?.stream.hangUp() }
    }

    private func serve(_ seat: Seat, _ id: ConnectionTable.ID) async {
        let stream = seat.stream
        let hooks = ConnectionHooks(
            isDraining: { self.isDraining.load(ordering: .acquiring) },
            isEvicted: { seat.isEvicted.load(ordering: .acquiring) },
            enter: { phase in self.enter(phase, id) }
        )
        let connection = Connection(
            stream: stream,
            router: router,
            configuration: configuration,
            hooks: hooks,
            metric: metric,
            logger: logger
        )
        await connection.run()
        state.withLock { state in
            state.table.remove(id)
            state.seats.removeValue(forKey: id)
        }
        stream.close()
        metric.closed()
        _ = freed.offer(())
    }

    /// A connection that becomes idle, or a stream that begins, while the server stops, has missed the call to end.
    private func enter(_ phase: ConnectionPhase, _ id: ConnectionTable.ID) {
        let (late, isFull) = state.withLock { state -> (SocketStream?, Bool) in
            state.table.enter(phase, id)
            let isLate = state.isDraining && (phase == .idle || phase == .streaming)
            return (isLate ? state.seats[id]?.stream : nil, state.isFull)
        }
        late?.hangUp()
        if isFull, phase != .handling { _ = freed.offer(()) }
    }

    private func drain() {
        let waiting = state.withLock { state in
            state.isDraining = true
            isDraining.store(true, ordering: .releasing)
            return state.table.all(in: .idle, .streaming).compactMap { state.seats[$0]?.stream }
        }
        for stream in waiting { stream.hangUp() }
        _ = freed.offer(())
    }
}
