import Foundation
import HTTPClient
import Postgres
import Retail
import Runtime

/// Looks at what the retail job needs: the warehouse, the folder of bronze, the source, dbt.
struct RetailDoctor: Sendable {
    let settings: RetailFeature
    let warehouse: PGPool

    func examine() async -> [Doctor.Finding] {
        var findings = await Doctor.checked("warehouse connection") { try await self.connection() }
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
            verdict: isThere ? .good : .notice,
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
