import Foundation
import HTTPClient
import Postgres
import Retail
import Runtime

/// Looks at what the retail job needs: the warehouse, the folder of bronze, the source, dbt.
struct RetailDoctor: Sendable {
    let settings: RetailFeature
    let warehouse: PGPool
    /// Its schedule fires: then gold runs, and dbt must be there.
    let isScheduled: Bool

    func examine() async -> [Doctor.Finding] {
        var findings = await Doctor.checked("warehouse connection") { try await self.connection() }
        if !findings.contains(where: { $0.verdict == .bad }) {
            findings += await Doctor.checked("warehouse privileges") { try await self.privileges() }
        }
        findings.append(folder())
        findings.append(dbt())
        findings += await Doctor.checked("retail source") { try await self.source() }
        return findings
    }

    private func connection() async throws -> [Doctor.Finding] {
        let version = try await warehouse.withConnection { connection in
            try await connection.query("SELECT current_setting('server_version')").rows.first?[0].string() ?? ""
        }
        return [
            Doctor.Finding(
                check: "warehouse connection",
                verdict: .good,
                detail: "\(settings.warehouse.databaseLabel) answers: PostgreSQL \(version)"
            )
        ]
    }

    private func privileges() async throws -> [Doctor.Finding] {
        try await warehouse.withConnection { connection in
            let row = try await connection.query(
                """
                SELECT current_setting('default_transaction_read_only') = 'on' OR pg_is_in_recovery(),
                    (SELECT string_agg(t.oid::regclass::text, ', ' ORDER BY t.oid::regclass::text)
                    FROM pg_class t JOIN pg_namespace s ON s.oid = t.relnamespace
                    WHERE s.nspname IN ('silver', 'meta') AND t.relkind IN ('r', 'p') AND NOT (
                        has_schema_privilege(s.oid, 'USAGE') AND has_table_privilege(t.oid, 'SELECT')
                        AND has_table_privilege(t.oid, 'INSERT') AND has_table_privilege(t.oid, 'UPDATE')
                        AND has_table_privilege(t.oid, 'DELETE')))
                """
            ).rows.first
            if try row?[0].bool() == true {
                return [
                    Doctor.Finding(
                        check: "warehouse writable",
                        verdict: .bad,
                        detail: "the database is read only",
                        remedy: "Let RETAIL_DATABASE_URL name the primary."
                    )
                ]
            }
            let lacking = try row.flatMap { $0[1].isNull ? nil : try $0[1].string() }
            return [
                Doctor.Finding(
                    check: "warehouse privileges",
                    verdict: lacking == nil ? .good : .bad,
                    detail: lacking.map { "the role may not read and write \($0)" }
                        ?? "the role may read and write the tables of silver and meta",
                    remedy: lacking == nil ? nil : "Run the GRANTs below as the tables' owner."
                )
            ]
        }
    }

    private func folder() -> Doctor.Finding {
        let files = FileManager.default
        let path = settings.retail.bronzeFolder
        var place = URL(filePath: path).standardizedFileURL
        while !files.fileExists(atPath: place.path), place.path != "/" { place.deleteLastPathComponent() }
        let isWritable = files.isWritableFile(atPath: place.path)
        return Doctor.Finding(
            check: "bronze folder",
            verdict: isWritable ? .good : .bad,
            detail: isWritable ? "\(path) can be written" : "\(path) cannot be written",
            remedy: isWritable ? nil : "Let BRONZE_DIR name a folder that the daemon may write."
        )
    }

    private func dbt() -> Doctor.Finding {
        let name = settings.gold.executable
        let folders =
            name.contains("/") ? [""] : (ProcessInfo.processInfo.environment["PATH"] ?? "").split(separator: ":")
        let isThere = folders.contains { folder in
            FileManager.default.isExecutableFile(atPath: folder.isEmpty ? name : "\(folder)/\(name)")
        }
        return Doctor.Finding(
            check: "dbt",
            verdict: isThere ? .good : isScheduled ? .bad : .notice,
            detail: isThere ? "\(name) is there" : "\(name) is not there; the gold stage needs it",
            remedy: isThere ? nil : DBTDocumentation.installation
        )
    }

    private func source() async throws -> [Doctor.Finding] {
        let answer = try await settings.api().get(
            "sales",
            query: [("start_sales_id", "\(settings.retail.startSalesID)"), ("limit", "1")]
        )
        return [
            Doctor.Finding(
                check: "retail source",
                verdict: answer.status == 200 ? .good : .bad,
                detail: "/sales answers \(answer.status)",
                remedy: answer.status == 200 ? nil : "Check API_BASE_URL and API_KEY."
            )
        ]
    }
}
