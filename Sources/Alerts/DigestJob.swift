package import Engine
import Foundation
package import Postgres
import Runtime

/// Once in a while, what all jobs did: runs, failures, last success, open dead letters; sent to every sink.
///
/// Fails when no sink took it, so that a dead channel shows in the ledger.
package struct DigestJob: Job {
    package let name: JobName = "digest"
    package let knownOptions: Set<RunOptionName> = [.dryRun]
    package var targets: [PGPool] { [] }

    private let state: PGPool
    private let notifier: Notifier
    private let jobs: [JobName]
    private let openLetters: @Sendable () async throws -> [JobName: Int]

    /// `openLetters` counts open dead letters by job.
    package init(
        state: PGPool,
        notifier: Notifier,
        jobs: [JobName],
        openLetters: @escaping @Sendable () async throws -> [JobName: Int]
    ) {
        self.state = state
        self.notifier = notifier
        self.jobs = jobs
        self.openLetters = openLetters
    }

    package func run(_ context: RunContext) async throws -> RunSummary {
        context.progress.stage("digest")
        let lines = try await lines()
        let alert = Alert(
            job: name,
            subject: .digest,
            severity: .information,
            title: "The last 24 hours",
            lines: lines,
            runID: context.runID
        )
        if !context.options.dryRun, try await notifier.tell(alert) == false {
            throw TallyError(
                .sourceUnreachable,
                during: "digest.deliver",
                notifier.isOn ? "no channel took the digest" : "no alert channel is configured",
                remedy:
                    "Set SLACK_WEBHOOK_URL, SLACK_TOKEN with SLACK_CHANNEL, or ALERT_WEBHOOK_URL, and look at the log."
            )
        }
        return RunSummary(
            counts: ["jobs": lines.count],
            details: ["lines": .array(lines.map { .string($0) })],
            deadLetters: 0,
            proof: .compareOnly
        )
    }

    private func lines() async throws -> [String] {
        let letters = try await openLetters()
        let rows = try await state.withConnection { connection in
            try await connection.query(
                """
                SELECT job, count(*) FILTER (WHERE state IN ('succeeded', 'partial')),
                    count(*) FILTER (WHERE state = 'failed'), count(*) FILTER (WHERE state = 'interrupted'),
                    to_char(max(finished_at) FILTER (WHERE state = 'succeeded') AT TIME ZONE 'UTC', 'HH24:MI "UTC"')
                FROM etl.runs WHERE queued_at > clock_timestamp() - interval '24 hours' AND NOT dry_run
                GROUP BY job
                """
            ).rows
        }
        var told: [String: String] = [:]
        for row in rows {
            let last = row[4].isNull ? "no success" : "last success \(try row[4].string())"
            told[try row[0].string()] =
                "\(try row[1].int()) done, \(try row[2].int()) failed, \(try row[3].int()) interrupted, \(last)"
        }
        return jobs.filter { $0 != name }.map { job in
            let open = letters[job, default: 0]
            return "\(job): \(told[job.rawValue] ?? "did not run")" + (open > 0 ? ", \(open) open dead letters" : "")
        }
    }
}
