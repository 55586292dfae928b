package import Foundation
package import Runtime

/// Whether something the daemon depends on answered.
package enum ProbeResult: Sendable, Equatable {
    case ok
    /// A reason that is safe to show.
    case failed(String)

    package var isOK: Bool { self == .ok }
}

/// Questions to what the daemon depends on; each is asked with a deadline of two seconds.
package struct ServiceProbes: Sendable {
    package typealias Probe = @Sendable () async -> ProbeResult
    package var productMongodb: Probe?
    package var postgresql: Probe?
    package var migrations: Probe?

    package init(productMongodb: Probe? = nil, postgresql: Probe? = nil, migrations: Probe? = nil) {
        self.productMongodb = productMongodb
        self.postgresql = postgresql
        self.migrations = migrations
    }
}

/// Memory of the process in MiB.
package struct MemoryUse: Sendable, Equatable {
    package let usedMiB: Double
    package let totalMiB: Double

    package init(usedMiB: Double, totalMiB: Double) {
        self.usedMiB = usedMiB
        self.totalMiB = totalMiB
    }
}

/// What the service says of itself.
package struct ServiceInfo: Sendable {
    package let service: String
    package let version: String
    package let startedAt: Date
    package let memory: @Sendable () -> MemoryUse

    package init(
        service: String = "etl-service",
        version: String,
        startedAt: Date = Date(),
        memory: @escaping @Sendable () -> MemoryUse
    ) {
        self.service = service
        self.version = version
        self.startedAt = startedAt
        self.memory = memory
    }
}

/// Everything the routes reach of the daemon; made once by the executable, by hand in tests.
package struct APIPorts: Sendable {
    package var runs: any RunsPort
    package var scheduler: any SchedulerPort
    package var deadLetters: any DeadLettersPort
    package var probes: ServiceProbes
    /// Counts and sizes of both sides, nil when the product sync is not configured.
    package var stats: (@Sendable () async throws -> JSONValue)?
    package var info: ServiceInfo
    package var metricsText: @Sendable () -> String
    package var isDraining: @Sendable () -> Bool

    package init(
        runs: any RunsPort,
        scheduler: any SchedulerPort,
        deadLetters: any DeadLettersPort,
        probes: ServiceProbes,
        stats: (@Sendable () async throws -> JSONValue)?,
        info: ServiceInfo,
        metricsText: @escaping @Sendable () -> String,
        isDraining: @escaping @Sendable () -> Bool
    ) {
        self.runs = runs
        self.scheduler = scheduler
        self.deadLetters = deadLetters
        self.probes = probes
        self.stats = stats
        self.info = info
        self.metricsText = metricsText
        self.isDraining = isDraining
    }
}
