package import Logging
import Runtime
import ServiceLifecycle
import Synchronization
import Telemetry

/// The HTTP server: listens, serves each connection as a child task, stops gracefully.
package final class Server: Service {
    private struct State {
        var draining = false
        var port: Int?
        var connections: [Int: (stream: SocketStream, idle: Bool)] = [:]
        var next = 0
    }

    private let configuration: HTTPServerConfiguration
    private let router: Router
    private let logger: Logger
    private let state = Mutex(State())
    private let listening = TestSignal()

    package init(configuration: HTTPServerConfiguration, router: Router, logger: Logger) {
        self.configuration = configuration
        self.router = router
        self.logger = logger
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
    /// Throws `.settingsInvalid` when the address cannot be listened on.
    package func run() async throws {
        let listener = try SocketListener(host: configuration.host, port: configuration.port)
        state.withLock { $0.port = listener.port }
        listening.fire()
        logger.event(.notice, "listening", [.host: configuration.host, .port: "\(listener.port)"])
        await withGracefulShutdownHandler {
            await withTaskCancellationHandler {
                await withDiscardingTaskGroup { group in
                    while let stream = await listener.accept() {
                        guard let number = self.admit(stream) else {
                            stream.close()
                            continue
                        }
                        group.addTask {
                            await self.serve(stream, number)
                        }
                    }
                }
            } onCancel: {
                listener.close()
                self.drain(all: true)
            }
        } onGracefulShutdown: {
            listener.close()
            self.drain(all: false)
        }
    }

    private func admit(_ stream: SocketStream) -> Int? {
        state.withLock { state in
            guard !state.draining, state.connections.count < configuration.connectionsMax else { return nil }
            state.next += 1
            state.connections[state.next] = (stream, true)
            return state.next
        }
    }

    private func serve(_ stream: SocketStream, _ number: Int) async {
        let connection = Connection(
            stream: stream,
            router: router,
            configuration: configuration,
            isDraining: { self.state.withLock { $0.draining } },
            setIdle: { idle in self.state.withLock { $0.connections[number]?.idle = idle } }
        )
        await connection.run()
        _ = state.withLock { $0.connections.removeValue(forKey: number) }
        stream.close()
    }

    private func drain(all: Bool) {
        let idle = state.withLock { state in
            state.draining = true
            return state.connections.values.filter { all || $0.idle }.map(\.stream)
        }
        for stream in idle { stream.hangUp() }
    }
}
