import API
import ArgumentParser
import Engine
import Foundation
import HTTPServer
import Logging
import Postgres
import Runtime
import ServiceLifecycle
import Synchronization
import Telemetry
import UnixSignals

struct ServeCommand: TallyCommand {
    static let configuration = CommandConfiguration(
        commandName: "serve",
        abstract: "Run the daemon: HTTP, the schedule, and the runs both ask for."
    )

    @OptionGroup var common: CommonOptions

    @Flag(name: .long, help: "Apply missing migrations before listening (also MIGRATE_ON_START=true).")
    var migrate = false

    func execute(_ console: Console) async throws -> ExitStatus {
        let settings = try settings(serving: true)
        let graph = try Graph(settings)
        if migrate || settings.migrateOnStart { _ = try await graph.migrations.up() }
        let draining = DrainMark()
        let gate = await Gate(settings.access)
        var ports = graph.ports(draining: draining)
        ports.documentation = graph.features.flatMap(\.documentation)
        let router = APIRoutes.router(ports, gate: gate, logger: Logger(label: "http"))
        let server = Server(
            configuration: settings.http,
            router: router,
            logger: Logger(label: "http")
        )
        graph.logger.event(
            .notice,
            "daemon starting",
            [.host: settings.http.host, .port: "\(settings.http.port)", .version: ProcessSetup.version]
        )
        graph.scrape.start()
        // Shut down from the last to the first: ready turns 503, no new fires, runs end, then HTTP closes.
        var services: [any Service] = [server]
        if let port = settings.metricsPort {
            var own = settings.http
            own.port = port
            let scraped = APIRoutes.router(ports, gate: gate, logger: Logger(label: "http"), only: ["/metrics"])
            services.append(Server(configuration: own, router: scraped, logger: Logger(label: "metrics")))
        }
        services += [
            graph.eventService, graph.gaugeService, graph.dependencyService, graph.notifierService,
            graph.runnerService, graph.schedulerService, ReloadOnHangup(graph: graph), graph.startChecks, draining,
        ]
        var configuration = ServiceGroupConfiguration(
            services: services.map { .init(service: $0) },
            gracefulShutdownSignals: [.sigterm, .sigint],
            logger: Logger(label: "lifecycle")
        )
        // INV-7: what has not ended by then is cancelled; its transaction rolls back.
        configuration.maximumGracefulShutdownDuration = .seconds(8)
        do {
            try await ServiceGroup(configuration: configuration).run()
        } catch  where draining.isSet {
            // Told to stop and stopping: what a service throws on its way out is no failure of the daemon.
            graph.logger.event(.info, "service ended early", [.error: "\(type(of: error))"])
        }
        await graph.close()
        graph.logger.event(.notice, "daemon stopped")
        console.answer(["success": true, "message": "stopped"])
        return .done
    }
}

/// Remembers that the daemon is stopping, so that readiness says so first.
final class DrainMark: Service {
    private let flag = Mutex(false)

    var isSet: Bool { flag.withLock { $0 } }

    func run() async throws {
        try? await gracefulShutdown()
        flag.withLock { $0 = true }
    }
}

/// Reads the configuration folder again when the process gets SIGHUP; what is wrong is logged and changes nothing.
final class ReloadOnHangup: Service {
    private let graph: Graph

    init(graph: Graph) {
        self.graph = graph
    }

    func run() async throws {
        let signals = await UnixSignalsSequence(trapping: .sighup)
        await cancelWhenGracefulShutdown { [graph] in
            for await _ in signals {
                do {
                    _ = try graph.reload()
                } catch {
                    let ours = TallyError.wrapping(error, during: "jobs.file")
                    graph.logger.event(.error, "the configuration stays as it was", [.error: "\(ours)"])
                }
            }
        }
    }
}
