import API
import Postgres
import Runtime

/// Looks at everything the configured features need and says what to do about what it finds.
struct Doctor {
    enum Verdict: String, Sendable {
        case good, notice, bad

        var mark: String {
            switch self {
            case .good: "ok   "
            case .notice: "note "
            case .bad: "FAIL "
            }
        }
    }

    struct Finding: Sendable {
        let check: String
        let verdict: Verdict
        let detail: String
        var remedy: String?

        var json: JSONValue {
            [
                "check": .string(check), "ok": .bool(verdict != .bad), "verdict": .string(verdict.rawValue),
                "detail": .string(detail), "remedy": remedy.map { .string($0) } ?? .null,
            ]
        }
    }

    let graph: Graph

    func examine() async -> [Finding] {
        var findings = settingsFindings()
        for feature in graph.features { findings += await feature.examine() }
        findings += await Self.checked("state database") { try await self.stateDatabase() }
        findings += await Self.checked("migrations") { try await self.migrations() }
        return findings
    }

    /// Runs a check; what it throws is its finding.
    static func checked(_ check: String, _ body: () async throws -> [Finding]) async -> [Finding] {
        do {
            return try await body()
        } catch {
            let ours = TallyError.wrapping(error, during: "doctor")
            return [
                Finding(
                    check: check,
                    verdict: .bad,
                    detail: "\(ours.kind.rawValue): \(ours.summary)",
                    remedy: ours.remedy
                )
            ]
        }
    }

    private func settingsFindings() -> [Finding] {
        let settings = graph.settings
        let names = graph.features.map(\.name).joined(separator: ", ")
        var findings = [
            Finding(
                check: "settings",
                verdict: .good,
                detail: "all \(SettingName.allCases.count) are usable; features that are on: \(names)"
            )
        ]
        if let key = settings.access.keys.first {
            let length = key.expose { $0.utf8.count }
            if length < 32 {
                findings.append(
                    Finding(
                        check: "JWT_KEY",
                        verdict: .notice,
                        detail: "shorter than the 32 bytes RFC 7518 asks for",
                        remedy: "Use a longer one, for example from `openssl rand -base64 32`."
                    )
                )
            }
        } else {
            findings.append(
                Finding(
                    check: "JWT_KEY",
                    verdict: .notice,
                    detail: "not set: the daemon answers on loopback only",
                    remedy: "Set JWT_KEY to serve other machines."
                )
            )
        }
        return findings
    }

    /// What remains of the findings, in a line.
    static func summary(_ findings: [Finding]) -> String {
        let failures = findings.count { $0.verdict == .bad }
        let notes = findings.count { $0.verdict == .notice }
        if failures > 0 { return "\(failures) to mend." }
        return notes == 0 ? "All good." : "No failure, \(notes) \(notes == 1 ? "note" : "notes")."
    }

    /// Where leases, ledger and schedules live, which may be no feature's own database: session locks must hold there.
    private func stateDatabase() async throws -> [Finding] {
        let isPooled = try await graph.state.withConnection { connection in
            // A transaction pooler invents the process id it tells its client.
            let told = try await connection.query("SELECT pg_backend_pid()").rows.first?[0].int()
            return told != Int(connection.backendPID)
        }
        let label = graph.settings.state.databaseLabel
        var finding = Finding(check: "state database", verdict: .good, detail: "\(label) takes leases")
        if isPooled {
            finding = Finding(
                check: "state database",
                verdict: .bad,
                detail: "the connection goes through a transaction pooler",
                remedy: "Leases are session locks, which do not pass one: let its URL name the server itself."
            )
        } else if case .failed(let reason) = await DependencyProbe.leases(graph.state) {
            finding = Finding(
                check: "state database",
                verdict: .bad,
                detail: "\(label): \(reason)",
                remedy: "Run `tallyman migrate up`, and let its URL name the primary."
            )
        }
        return [finding]
    }

    private func migrations() async throws -> [Finding] {
        try await graph.migrations.status().map { database in
            let missing = database.migrations.filter { !$0.isApplied }.count
            return Finding(
                check: "migrations",
                verdict: missing == 0 ? .good : .bad,
                detail: "\(database.database): \(missing == 0 ? "all applied" : "\(missing) are not applied")",
                remedy: missing == 0 ? nil : "Run `tallyman migrate up`."
            )
        }
    }
}
