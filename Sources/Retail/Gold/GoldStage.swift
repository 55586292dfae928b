import Engine
import Foundation
import Logging
import Postgres
import Runtime
import Telemetry

/// What a gold stage built and tested.
struct GoldReport: Sendable {
    var steps: [String] = []
    var nodes: [DBTNode] = []

    var json: JSONValue {
        [
            "steps": .array(steps.map { .string($0) }),
            "nodes": .array(
                nodes.map { node in
                    [
                        "node": .string(node.name), "type": .string(node.kind), "status": .string(node.status),
                        "seconds": .double(node.seconds), "failures": .int(node.failures),
                    ]
                }
            ),
        ]
    }
}

/// Silver to gold: the dbt project of this binary, step by step, then its tests.
struct GoldStage: Sendable {
    /// The steps as operators know them.
    static let steps: [(name: String, command: [String])] = [
        ("dbt_deps", ["deps"]),
        ("dbt_run_core", ["build", "--select", "path:models/core", "--resource-type", "model"]),
        ("dbt_run_mart", ["build", "--select", "path:models/mart", "--resource-type", "model"]),
        ("dbt_test", ["build", "--resource-type", "test", "--store-failures"]),
    ]

    let settings: GoldSettings
    let warehouse: PGPool
    let context: RunContext

    func run() async throws -> GoldReport {
        context.progress.stage("gold")
        RetailMetric.goldBegins()
        let process = try DBTProcess(settings, fence: context.fence)
        defer { process.workspace.remove() }
        var report = GoldReport()
        do {
            for step in Self.steps {
                try await context.failpoint.reach("gold.beforeStep")
                // Our own dbt of the step before has ended: whoever is connected now was left by a killed daemon.
                try await endSessions()
                report.nodes += try await run(step.name, step.command, process)
                report.steps.append(step.name)
            }
        } catch {
            // A killed client's statements may go on in the server, also when this task was cancelled: the pool would
            // refuse a cancelled task.
            await Uncancelled.run { await self.endSessionsForGood() }
            throw error
        }
        return report
    }

    private func run(_ step: String, _ command: [String], _ process: DBTProcess) async throws -> [DBTNode] {
        let started = ContinuousClock.now
        let (logger, progress, runID) = (context.logger, context.progress, context.runID)
        let ended = try await process.run(command) { line in
            if line.isNodeResult { progress.add(written: 1) }
            guard line.isNodeResult || line.level == "error" || line.level == "warn" else { return }
            let isBad = line.level == "error" || line.status == "error" || line.status == "fail"
            // A message of dbt may hold what a row says; its event and node do not.
            logger.event(
                isBad ? .error : line.level == "warn" ? .warning : .info,
                "dbt",
                [
                    .stage: step, .kind: line.event, .key: line.node ?? "", .status: line.status ?? "",
                    .runID: "\(runID)",
                ]
            )
        }
        let nodes = command.first == "deps" ? [] : try results(process.workspace)
        for node in nodes { RetailMetric.node(node.name, kind: node.kind, isGood: node.isGood) }
        let bad = nodes.filter { !$0.isGood }
        guard bad.isEmpty else { throw Self.failure(step, bad) }
        guard ended.code == 0 else {
            throw TallyError(
                .unknown,
                during: "retail.gold",
                "dbt ended with \(ended.code.map { "status \($0)" } ?? "a signal") in \(step)",
                remedy: "Run with --verbose, or dbt by hand in the folder dbt/.",
                detail: ended.complaint
            )
        }
        // INV-11: a build that built nothing proves nothing.
        guard command.first == "deps" || !nodes.isEmpty else {
            throw TallyError(.proofFailed, during: "retail.gold", "dbt built no node in \(step)")
        }
        logger.event(
            .info,
            "dbt step done",
            [
                .stage: step, .count: "\(nodes.count)", .runID: "\(runID)",
                .durationMS: "\(started.duration(to: .now).components.seconds * 1_000)",
            ]
        )
        return nodes
    }

    private func results(_ workspace: DBTWorkspace) throws -> [DBTNode] {
        let path = workspace.target + "/run_results.json"
        // dbt that stopped before its first node leaves no results; its status tells.
        guard let data = FileManager.default.contents(atPath: path) else { return [] }
        try FileManager.default.removeItem(atPath: path)
        do {
            return try DBTNode.read(data)
        } catch {
            throw TallyError(.protocolViolation, during: "retail.gold", "dbt's results cannot be read", cause: error)
        }
    }

    /// Names what failed, and where the rows of a failed test stand.
    static func failure(_ step: String, _ bad: [DBTNode]) -> TallyError {
        let tests = bad.filter { $0.kind == "test" && $0.status == "fail" }
        let listed = bad.prefix(10).map { node in
            let rows = node.failures > 0 ? ", \(node.failures) rows in \(node.relation ?? "gold_dbt_test__audit")" : ""
            return "\(node.name) (\(node.status)\(rows))"
        }
        return TallyError(
            tests.isEmpty ? .unknown : .proofFailed,
            during: "retail.gold",
            "\(bad.count) nodes failed in \(step): \(listed.joined(separator: "; "))",
            remedy: tests.isEmpty ? nil : "Look at the rows that failed; they are kept until the test's next run."
        )
    }

    /// The last that a failed or cancelled stage does; what it cannot end, the next gold stage does.
    private func endSessionsForGood() async {
        do {
            try await withDeadline(.seconds(15), during: "retail.gold") { try await endSessions() }
        } catch {
            let ours = TallyError.wrapping(error, during: "retail.gold")
            context.logger.event(
                .warning,
                "sessions of dbt could not be ended; the next gold stage ends them",
                [.runID: "\(context.runID)", .error: "\(ours)"]
            )
        }
    }

    /// Ends sessions of a dbt whose stage is over: they carry no fence and could write after a newer one.
    private func endSessions() async throws {
        try await warehouse.withConnection { connection in
            _ = try await connection.query(
                """
                SELECT pg_terminate_backend(pid, 5000) FROM pg_stat_activity
                WHERE application_name = $1 AND datname = current_database() AND usename = current_user
                    AND pid <> pg_backend_pid()
                """,
                [.text(DBTProfile.applicationName)]
            )
        }
    }
}
