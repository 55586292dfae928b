import Engine
import Foundation
import Logging
import Runtime
import ServiceLifecycle
import Synchronization
import UnixSignals

/// Runs of the command line, one a job at the same time: each waits for its lease, is followed and brought home.
///
/// SIGINT and SIGTERM let the running batch commit or roll back; the run is then `interrupted`.
final class CommandRuns: Service {
    typealias Outcome = Result<RunRecord, any Error>
    /// Begins a run of a job and says which; throws `RunBusy` while another is going.
    typealias Begin = @Sendable (JobName) async throws -> RunID

    private let graph: Graph
    private let jobs: [JobName]
    private let begin: Begin
    private let waitSeconds: Int
    private let console: Console
    private let outcomes = Mutex<[JobName: Outcome]>([:])

    convenience init(graph: Graph, jobs: [JobName], options: RunOptions, waitSeconds: Int, console: Console) {
        self.init(graph: graph, jobs: jobs, waitSeconds: waitSeconds, console: console) { [runner = graph.runner] job in
            try await runner.submit(job, options, trigger: .cli, requestedBy: Self.user)
        }
    }

    init(graph: Graph, jobs: [JobName], waitSeconds: Int, console: Console, begin: @escaping Begin) {
        self.graph = graph
        self.jobs = jobs
        self.begin = begin
        self.waitSeconds = waitSeconds
        self.console = console
    }

    /// Runs one job to its end; throws what kept it from running.
    static func one(
        _ job: JobName,
        of graph: Graph,
        options: RunOptions,
        waitSeconds: Int,
        console: Console
    ) async throws -> RunRecord {
        let runs = CommandRuns(graph: graph, jobs: [job], options: options, waitSeconds: waitSeconds, console: console)
        return try await runs.only()
    }

    /// The one job's run, at its end; throws what kept it from running.
    func only() async throws -> RunRecord {
        guard let outcome = try await execute().first?.outcome else {
            throw TallyError(.cancelled, during: "command.run", "stopped before the run began")
        }
        return try outcome.get()
    }

    /// Runs every job to its end, in the order given; the graph's pools are closed afterwards.
    func execute() async throws -> [(job: JobName, outcome: Outcome)] {
        do {
            try await graph.migrations.require()
            try await group.run()
        } catch {
            await graph.close()
            throw outcomes.withLock { $0.values.lazy.compactMap(\.failure).first } ?? error
        }
        await graph.close()
        let stopped = TallyError(.cancelled, during: "command.run", "stopped before the run began")
        return outcomes.withLock { outcomes in jobs.map { ($0, outcomes[$0] ?? .failure(stopped)) } }
    }

    private var group: ServiceGroup {
        ServiceGroup(
            configuration: .init(
                services: [
                    .init(service: self, successTerminationBehavior: .gracefullyShutdownGroup),
                    .init(service: graph.runnerService),
                ],
                gracefulShutdownSignals: [.sigterm, .sigint],
                logger: Logger(label: "lifecycle")
            )
        )
    }

    func run() async throws {
        await withTaskGroup(of: Void.self) { group in
            for job in jobs { group.addTask { await self.carryOut(job) } }
        }
    }

    private func carryOut(_ job: JobName) async {
        do {
            let id = try await cancelWhenGracefulShutdown { try await self.submit(job) }
            let record = try await follow(id, job)
            outcomes.withLock { $0[job] = .success(record) }
        } catch {
            outcomes.withLock { $0[job] = .failure(error) }
        }
    }

    private func submit(_ job: JobName) async throws -> RunID {
        let clock = ContinuousClock()
        let deadline = clock.now + .seconds(waitSeconds)
        var isTold = false
        while true {
            do {
                return try await begin(job)
            } catch let busy as RunBusy {
                guard clock.now < deadline else { throw busy }
                if !isTold {
                    isTold = true
                    console.note("waiting up to \(waitSeconds) s for the run that is going")
                }
                try await clock.sleep(for: .milliseconds(250))
            }
        }
    }

    private func follow(_ id: RunID, _ job: JobName) async throws -> RunRecord {
        try await withThrowingTaskGroup(of: RunRecord?.self) { group in
            group.addTask { try await self.graph.runner.wait(id) }
            group.addTask {
                try await self.showProgress(id, job)
                return nil
            }
            defer { group.cancelAll() }
            while let next = try await group.next() {
                if let record = next {
                    if showsBar { Console.write("\r\u{1B}[K", to: .standardError) }
                    return record
                }
            }
            throw TallyError(.cancelled, during: "command.run", "stopped")
        }
    }

    /// A bar ten times a second on a terminal; elsewhere a line every two seconds; with `--json` nothing.
    private func showProgress(_ id: RunID, _ job: JobName) async throws {
        guard !console.isJSON else { return }
        let terminal = showsBar
        var line = ProgressLine()
        do {
            while !Task.isCancelled {
                try await ContinuousClock().sleep(for: terminal ? .milliseconds(100) : .seconds(2))
                guard let snapshot = graph.runner.progress(id) else { continue }
                guard let text = line.update(snapshot, terminal: terminal) else { continue }
                Console.write(jobs.count > 1 ? "\(job): \(text)" : text, to: .standardError)
            }
        } catch is CancellationError {
            return
        }
    }

    private var showsBar: Bool { !console.isJSON && jobs.count == 1 && Console.isTerminal(STDERR_FILENO) }

    static var user: String {
        ProcessInfo.processInfo.userName
    }
}

extension Result {
    fileprivate var failure: Failure? { if case .failure(let error) = self { error } else { nil } }
}
