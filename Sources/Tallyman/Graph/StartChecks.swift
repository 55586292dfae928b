import Logging
import ServiceLifecycle
import Telemetry

/// Looks once at what features want looked at when the daemon starts; what is wrong is logged and stops nothing.
///
/// It then waits for the shutdown: a service that ends would end the daemon.
struct StartChecks: Service {
    let features: [Feature]
    let logger: Logger

    func run() async throws {
        await cancelWhenGracefulShutdown {
            for feature in features {
                for finding in await feature.atStart?() ?? [] where finding.verdict == .bad {
                    guard !Task.isCancelled else { return }
                    logger.event(
                        .error,
                        "a check at start failed",
                        [.key: finding.check, .error: finding.detail, .remedy: finding.remedy ?? ""]
                    )
                }
            }
        }
        try? await gracefulShutdown()
    }
}
