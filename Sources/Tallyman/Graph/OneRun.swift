import Engine
import Foundation
import Logging
import Runtime
import ServiceLifecycle
import Synchronization
import UnixSignals

/// One run of the command line: waits for the lease, follows the progress and brings the record home.
///
/// SIGINT and SIGTERM let the running batch commit or roll back; the run is then `interrupted`.
final class OneRun: Service {
    private let graph: Graph
    private let job: JobName
    private let options: RunOptions
    private let waitSeconds: Int
    private let console: Console
    private let outcome = Mutex<Result<RunRecord, any Error>?>(nil)

    init(graph: Graph, job: JobName, options: RunOptions, waitSeconds: Int, console: Console) {
        self.graph = graph
        self.job = job
        self.options = options
        self.waitSeconds = waitSeconds
        self.console = console
    }

    /// Runs the job to its end; the graph's pools are closed afterwards.
    func execute() async throws -> RunRecord {
        try await graph.migrations.require()
        let group = ServiceGroup(
            configuration: .init(
                services: [
                    .init(service: self, successTerminationBehavior: .gracefullyShutdownGroup),
                    .init(service: graph.runnerService),
                ],
                gracefulShutdownSignals: [.sigterm, .sigint],
                logger: Logger(label: "lifecycle")
            )
        )
        do {
            try await group.run()
        } catch {
            await graph.close()
            throw try outcome.withLock { $0 }.map { try $0.get() }.map { _ in error } ?? error
        }
        await graph.close()
        guard let outcome = outcome.withLock({ $0 }) else {
            throw TallyError(.cancelled, during: "command.run", "stopped before the run began")
        }
        return try outcome.get()
    }

    func run() async throws {
        do {
            let id = try await cancelWhenGracefulShutdown { try await self.submit() }
            let record = try await follow(id)
            outcome.withLock { $0 = .success(record) }
        } catch {
            outcome.withLock { $0 = .failure(error) }
        }
    }

    private func submit() async throws -> RunID {
        let clock = ContinuousClock()
        let deadline = clock.now + .seconds(waitSeconds)
        var isTold = false
        while true {
            do {
                return try await graph.runner.submit(job, options, trigger: .cli, requestedBy: Self.user)
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

    private func follow(_ id: RunID) async throws -> RunRecord {
        try await withThrowingTaskGroup(of: RunRecord?.self) { group in
            group.addTask { try await self.graph.runner.wait(id) }
            group.addTask {
                try await self.showProgress(id)
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
    private func showProgress(_ id: RunID) async throws {
        guard !console.isJSON else { return }
        let terminal = showsBar
        var line = ProgressLine()
        do {
            while !Task.isCancelled {
                try await ContinuousClock().sleep(for: terminal ? .milliseconds(100) : .seconds(2))
                guard let snapshot = graph.runner.progress(id) else { continue }
                if let text = line.update(snapshot, terminal: terminal) { Console.write(text, to: .standardError) }
            }
        } catch is CancellationError {
            return
        }
    }

    private var showsBar: Bool { !console.isJSON && Console.isTerminal(STDERR_FILENO) }

    private static var user: String {
        ProcessInfo.processInfo.userName
    }
}
