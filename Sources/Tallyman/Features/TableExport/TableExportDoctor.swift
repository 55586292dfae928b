import ConfigFile
import Engine
import Postgres
import Runtime
import TableExport

/// Looks at what table exports need: both servers, every definition against both catalogs, our rights.
struct TableExportDoctor: Sendable {
    let settings: TableExportFeature
    let jobs: [TableExportJob]
    let source: PGPool
    let target: PGPool

    func examine() async -> [Doctor.Finding] {
        var findings = await Doctor.checked("exports source") { try await self.connection(source, isSource: true) }
        findings += await Doctor.checked("exports target") { try await self.connection(target, isSource: false) }
        guard !findings.contains(where: { $0.verdict == .bad }) else { return findings }
        if jobs.isEmpty {
            findings.append(
                Doctor.Finding(
                    check: "exports",
                    verdict: .notice,
                    detail: "no table export is defined",
                    remedy: "Describe one in exports.yaml of the folder that CONFIG_DIR names."
                )
            )
        }
        return findings + (await definitions())
    }

    /// Every definition against both catalogs as they are now.
    func definitions() async -> [Doctor.Finding] {
        var findings: [Doctor.Finding] = []
        for job in jobs {
            findings += await Doctor.checked(job.name.rawValue) {
                let notices = try await job.check()
                return [
                    Doctor.Finding(
                        check: job.name.rawValue,
                        verdict: notices.isEmpty ? .good : .notice,
                        detail: notices.isEmpty ? "fits both catalogs" : notices.joined(separator: "; ")
                    )
                ]
            }
        }
        return findings
    }

    /// The statements that give a role what the exports need, and no more.
    var grants: [String] {
        var grants = [
            "-- source: lets the safe bound see how long transactions of other roles have been open",
            "GRANT pg_read_all_stats TO <role>;",
            "-- target",
            "GRANT CONNECT, CREATE, TEMPORARY ON DATABASE <database> TO <role>;",
        ]
        for export in settings.exports {
            let (from, into) = (export.definition.source, export.definition.destination)
            let delete = export.definition.deletes == .delete ? ", DELETE" : ""
            grants += [
                "GRANT USAGE ON SCHEMA \(PGIdentifier.quote(from.schema)) TO <role>; -- source",
                "GRANT SELECT ON \(table(from.schema, from.table.text)) TO <role>; -- source",
                "GRANT USAGE ON SCHEMA \(PGIdentifier.quote(into.schema)) TO <role>; -- target",
                "GRANT SELECT, INSERT, UPDATE\(delete) ON \(table(into.schema, into.table.text)) TO <role>; -- target",
            ]
        }
        var seen: Set<String> = []
        return grants.filter { seen.insert($0).inserted }
    }

    private func table(_ schema: String, _ name: String) -> String {
        "\(PGIdentifier.quote(schema)).\(PGIdentifier.quote(name))"
    }

    private func connection(_ pool: PGPool, isSource: Bool) async throws -> [Doctor.Finding] {
        try await pool.withConnection { connection in
            let row = try await connection.query(
                """
                SELECT current_setting('server_version'), pg_backend_pid(), pg_is_in_recovery(),
                       pg_has_role(current_user, 'pg_read_all_stats', 'USAGE')
                """
            ).rows.first
            guard let row else {
                throw TallyError(.targetUnreachable, during: "doctor.exports", "the database gave no answer")
            }
            let check = isSource ? "exports source" : "exports target"
            let isReplica = try row[2].bool()
            var findings = [
                Doctor.Finding(
                    check: check,
                    verdict: .good,
                    detail: "\(pool.settings.databaseLabel) answers: PostgreSQL \(try row[0].string())"
                        + (isReplica ? ", a replica" : "")
                )
            ]
            if isSource, isReplica {
                findings.append(
                    Doctor.Finding(
                        check: check,
                        verdict: .notice,
                        detail: "a replica hides which transactions are open on its primary",
                        remedy:
                            "Rows within `lookback` are read again each time; a longer transaction needs a longer one."
                    )
                )
            } else if isSource, try !row[3].bool() {
                findings.append(
                    Doctor.Finding(
                        check: check,
                        verdict: .notice,
                        detail: "the role cannot see how long transactions of other roles have been open",
                        remedy: "GRANT pg_read_all_stats TO the role, or let `lookback` exceed the longest transaction."
                    )
                )
            }
            if !isSource, try isReplica || row[1].int() != Int(connection.backendPID) {
                findings.append(
                    Doctor.Finding(
                        check: check,
                        verdict: .bad,
                        detail: isReplica ? "the database is read only" : "the connection goes through a pooler",
                        remedy: "Let DATABASE_URL_ANALYTICS name the primary itself."
                    )
                )
            }
            return findings
        }
    }
}
