import API
import Analytics
import Postgres
import Runtime

/// Looks at what the analytics need: the source's tables against the flags, our rights in the warehouse.
struct AnalyticsDoctor: Sendable {
    let settings: AnalyticsFeature
    let source: PGPool
    let warehouse: PGPool

    func examine() async -> [Doctor.Finding] {
        var findings = await flags()
        findings += await Doctor.checked("analytics warehouse") { try await self.warehouseRights() }
        if settings.analytics.previousKey != nil {
            findings.append(
                Doctor.Finding(
                    check: "PII_TOKEN_KEY_PREVIOUS",
                    verdict: .notice,
                    detail: "a rotation of the token key is under way",
                    remedy: "Run `tallyman run pii-rotate`, then take the previous key away."
                )
            )
        }
        return findings
    }

    /// Whether the flags fit the tables that are there.
    func flags() async -> [Doctor.Finding] {
        await Doctor.checked("analytics source") { try await self.sourceTables() }
    }

    /// Whether flags and tables fit; a source that does not answer is another probe's news.
    static func probe(_ analytics: AnalyticsSettings, _ source: PGPool) async -> ProbeResult {
        await DependencyProbe.probe {
            do {
                let catalog = try await source.withConnection { try await SourceCatalog.read($0) }
                try catalog.check(analytics)
            } catch let error as TallyError where [.sourceUnreachable, .targetUnreachable].contains(error.kind) {}
        }
    }

    /// The statements that give roles what the analytics need, and no more: of the source only the columns they read.
    ///
    /// Columns and tables that the source lacks are left out; where it does not answer, which `examine` tells, the
    /// statements are those for a source that has all.
    func grants() async -> [String] {
        let schema = settings.analytics.schema
        let other: SourceSchema = schema == .v1 ? .v2 : .v1
        let catalog =
            (try? await source.withConnection { try await SourceCatalog.read($0) }) ?? SourceCatalog.complete(schema)
        return catalog.grants(schema, to: "<source role>")
            + catalog.grants(other, to: "<source role>").map { "\($0) -- only for analytics-migration-report" } + [
                "GRANT CONNECT, CREATE, TEMPORARY ON DATABASE <warehouse> TO <role>;",
                "GRANT USAGE, CREATE ON SCHEMA public TO <role>;",
            ]
    }

    /// A contradiction between flags and tables is what a run would refuse.
    private func sourceTables() async throws -> [Doctor.Finding] {
        let catalog = try await source.withConnection { try await SourceCatalog.read($0) }
        try catalog.check(settings.analytics)
        let legacy = try catalog.legacy(settings.analytics)
        var findings: [Doctor.Finding] = []
        var on = 0
        for area in AnalyticsJob.areas {
            let split = try catalog.split(area.measures, main: area.main, schema: settings.analytics.schema)
            on += split.on.count
            findings += split.off.map { measure, reason in
                Doctor.Finding(
                    check: "measure \(measure)",
                    verdict: .notice,
                    detail: "off: \(reason)",
                    remedy: "It is computed once the source has what it needs."
                )
            }
        }
        if legacy.isIgnored {
            findings.append(
                Doctor.Finding(
                    check: "ENABLE_LEGACY_ETL",
                    verdict: .notice,
                    detail: "ignored while the v2 tables are read",
                    remedy: "Set ENABLE_LEGACY_ETL=false."
                )
            )
        }
        let label = settings.source.databaseLabel
        let tables = settings.analytics.readsV1 ? "v1" : "v2"
        return [
            Doctor.Finding(
                check: "analytics source",
                verdict: .good,
                detail: "\(label) answers; its \(tables) tables give \(on) measures"
            )
        ] + findings
    }

    private func warehouseRights() async throws -> [Doctor.Finding] {
        try await warehouse.withConnection { connection in
            let row = try await connection.query(
                """
                SELECT has_database_privilege(current_database(), 'TEMPORARY'),
                    to_regnamespace('analytics') IS NOT NULL OR has_database_privilege(current_database(), 'CREATE'),
                    current_setting('default_transaction_read_only') = 'on' OR pg_is_in_recovery()
                """
            ).rows.first
            guard let row else {
                throw TallyError(.targetUnreachable, during: "doctor.warehouse", "the warehouse gave no answer")
            }
            var lacking: [String] = []
            if try !row[0].bool() { lacking.append("temporary tables are refused: GRANT TEMPORARY ON DATABASE") }
            if try !row[1].bool() { lacking.append("schema analytics cannot be made: GRANT CREATE ON DATABASE") }
            if try row[2].bool() { lacking.append("it is read only: let ANALYTICS_WAREHOUSE_URL name the primary") }
            let label = settings.warehouse.databaseLabel
            return [
                Doctor.Finding(
                    check: "analytics warehouse",
                    verdict: lacking.isEmpty ? .good : .bad,
                    detail: lacking.isEmpty ? "\(label) answers and can be written" : lacking.joined(separator: "; ")
                )
            ]
        }
    }
}
