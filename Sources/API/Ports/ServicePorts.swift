package import Engine
package import Foundation
package import Runtime

/// Whether something the daemon depends on answered.
package enum ProbeResult: Sendable, Equatable {
    case ok
    /// A reason that is safe to show.
    case failed(String)

    package var isOK: Bool { self == .ok }
}

/// A question to something the daemon depends on, by the name that `/health` and `/ready` show.
package struct NamedProbe: Sendable {
    package typealias Probe = @Sendable () async -> ProbeResult
    package let name: String
    /// False for what is no connection, such as missing migrations: `/health` names it among its reasons only.
    package let isConnection: Bool
    private let ask: Probe

    package init(_ name: String, isConnection: Bool = true, ask: @escaping Probe) {
        self.name = name
        self.isConnection = isConnection
        self.ask = ask
    }

    /// Asks; what has not answered within two seconds has failed.
    fileprivate func answer() async -> ProbeResult {
        do {
            return try await withDeadline(.seconds(2), during: "api.probe") { await ask() }
        } catch {
            return .failed("no answer within 2 s")
        }
    }
}

extension [NamedProbe] {
    /// Asks all at once, two seconds at most; the answers in the order of the names.
    package func answers() async -> [(name: String, result: ProbeResult)] {
        await withTaskGroup(of: (name: String, result: ProbeResult).self) { group in
            for probe in self { group.addTask { (probe.name, await probe.answer()) } }
            var answers: [(name: String, result: ProbeResult)] = []
            for await answer in group { answers.append(answer) }
            return answers.sorted { $0.name < $1.name }
        }
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

/// Shows one record on both sides of a job, value by value.
package struct DifferenceReader: Sendable {
    package typealias Read = @Sendable (_ key: String) async throws -> JSONValue
    package let job: JobName
    package let read: Read

    package init(job: JobName, read: @escaping Read) {
        self.job = job
        self.read = read
    }
}

/// Everything the routes reach of the daemon; made once by the executable, by hand in tests.
package struct APIPorts: Sendable {
    package var runs: any RunsPort
    package var scheduler: any SchedulerPort
    package var deadLetters: any DeadLettersPort
    package var watermarks: any WatermarksPort
    package var events: EventHub
    package var probes: [NamedProbe]
    /// Counts and sizes of both sides, nil when the product sync is not configured.
    package var stats: (@Sendable () async throws -> JSONValue)?
    /// Pages that features had built, by name under `/docs/`.
    package var documentation: [DocumentationPage] = []
    package var info: ServiceInfo
    package var metricsText: @Sendable () -> String
    package var isDraining: @Sendable () -> Bool
    /// Reads the configuration folder again, all or nothing; what changed, in words.
    package var reload: @Sendable () async throws -> [String]
    /// Takes a webhook of Shopify; nil where no shop's client secret is configured.
    package var shopifyHook: (@Sendable (HookDelivery) async throws -> HookOutcome)?
    /// Whoever can show a record of a job on both sides; at most one a job.
    package var differences: [DifferenceReader]

    package init(
        runs: any RunsPort,
        scheduler: any SchedulerPort,
        deadLetters: any DeadLettersPort,
        watermarks: any WatermarksPort,
        events: EventHub,
        probes: [NamedProbe],
        stats: (@Sendable () async throws -> JSONValue)?,
        info: ServiceInfo,
        metricsText: @escaping @Sendable () -> String,
        isDraining: @escaping @Sendable () -> Bool,
        reload: @escaping @Sendable () async throws -> [String] = { [] },
        shopifyHook: (@Sendable (HookDelivery) async throws -> HookOutcome)? = nil,
        differences: [DifferenceReader] = []
    ) {
        self.shopifyHook = shopifyHook
        self.runs = runs
        self.scheduler = scheduler
        self.deadLetters = deadLetters
        self.watermarks = watermarks
        self.events = events
        self.probes = probes
        self.stats = stats
        self.info = info
        self.metricsText = metricsText
        self.isDraining = isDraining
        self.reload = reload
        self.differences = differences
    }
}
