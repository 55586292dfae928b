import Marketplaces
import Postgres
import Runtime

/// Looks at what the pulls need: the tables, how they are laid out, and accounts to pull.
struct MarketplaceDoctor: Sendable {
    let settings: MarketplaceFeature
    let pool: PGPool

    func examine() async -> [Doctor.Finding] {
        var findings = await Doctor.checked("marketplace tables") { try await self.tables() }
        let count = settings.accounts.shopify.count + settings.accounts.amazon.count
        let isMock = settings.mock != nil
        findings.append(
            Doctor.Finding(
                check: "marketplace accounts",
                verdict: isMock || count > 0 ? .good : .notice,
                detail: isMock ? "MOCK=1: synthetic data only" : "\(count) accounts are configured",
                remedy: isMock || count > 0 ? nil : "Set SHOPIFY_SHOP or AMAZON_REFRESH_TOKEN, or MARKETPLACE_ACCOUNTS."
            )
        )
        return findings
    }

    private func tables() async throws -> [Doctor.Finding] {
        let layout = try await pool.withConnection { connection in
            _ = try await ColumnTypes.read(on: connection)
            return try await connection.query("SELECT relkind::text FROM pg_class WHERE oid = 'sales_ts'::regclass")
        }
        let isPartitioned = try layout.rows.first?[0].string() == "p"
        return [
            Doctor.Finding(
                check: "marketplace tables",
                verdict: .good,
                detail: isPartitioned ? "monthly partitions" : "TimescaleDB or one table"
            )
        ]
    }

    /// What a role needs to migrate and to pull.
    static let grants = [
        "GRANT CONNECT, CREATE ON DATABASE <database> TO <role>;", "GRANT USAGE, CREATE ON SCHEMA public TO <role>;",
    ]
}
