package import Engine
package import Postgres
import Runtime

/// Looks for e-mails, phones, cards and account numbers in every text column of the warehouse; fails if it finds any.
///
/// It reads, in read-only transactions; a finding is named by table, column and kind, never by its value.
package struct PersonalDataScan: Job {
    package let name: JobName = "pii_scan"
    package let knownOptions: Set<RunOptionName> = [.dryRun]
    package var targets: [PGPool] { [warehouse] }

    /// A finding, without what was found.
    package struct Finding: Sendable, Hashable {
        package let column: String
        package let kind: PersonalDataPattern
        package let count: Int
    }

    /// Names of operators in the engine's own tables, such as the subject of their token: no data of customers.
    package static let operatorColumns: Set<String> = [
        "etl.runs.requested_by", "etl.runs.cancel_requested_by", "etl.runs.holder", "etl.leases.holder",
        "etl.scheduler.changed_by", "etl.schedules.changed_by", "etl.idempotency_keys.caller",
    ]
    /// What may look like something else in a column of ours, with the reason.
    package static let allowances: [String: (kinds: Set<PersonalDataPattern>, reason: String)] = [
        "analytics.product_daily.product_id": (
            [.card, .phone], "a product's number may be an article number or any run of digits; no person has one"
        )
    ]

    let settings: AnalyticsSettings
    let warehouse: PGPool

    package init(settings: AnalyticsSettings, warehouse: PGPool) {
        self.settings = settings
        self.warehouse = warehouse
    }

    package func run(_ context: RunContext) async throws -> RunSummary {
        let columns = try await context.retrying("pii.columns") { try await warehouse.withConnection(textColumns) }
        guard !columns.isEmpty else {
            throw TallyError(
                .schemaMismatch,
                during: "pii.scan",
                "none of the schemas to scan has a text column",
                remedy: "Check ANALYTICS_SCAN_SCHEMAS, and run `tallyman migrate up`."
            )
        }
        context.progress.total = columns.count
        var findings: [Finding] = []
        for column in columns {
            context.progress.stage(column.table)
            findings += try await context.retrying("pii.scan") {
                try await warehouse.withConnection { try await scan(column, context.progress, on: $0) }
            }
            context.progress.add(read: 1)
        }
        let places = findings.map { "\($0.column) (\($0.kind.rawValue), \($0.count))" }
        guard findings.isEmpty else {
            throw TallyError(
                .proofFailed,
                during: "pii.scan",
                "personal data in the warehouse: \(places.prefix(20).joined(separator: ", "))",
                remedy: "Find out which source column it came through, then delete it in the warehouse."
            )
        }
        return RunSummary(
            counts: ["columnsScanned": columns.count, "findings": 0],
            details: ["columns": .array(columns.prefix(500).map { .string($0.label) })],
            deadLetters: 0,
            proof: .compareOnly
        )
    }

    private struct Column: Sendable {
        let table: String
        let name: String
        let label: String
    }

    /// Every column that can hold text, partitions by their parents.
    private func textColumns(_ connection: PGConnection) async throws -> [Column] {
        let rows = try await connection.query(
            """
            SELECT n.nspname::text, c.relname::text, a.attname::text
            FROM pg_catalog.pg_class c
            JOIN pg_catalog.pg_namespace n ON n.oid = c.relnamespace
            JOIN pg_catalog.pg_attribute a ON a.attrelid = c.oid AND a.attnum > 0 AND NOT a.attisdropped
            JOIN pg_catalog.pg_type t ON t.oid = a.atttypid
            LEFT JOIN pg_catalog.pg_type b
                ON b.oid = CASE WHEN t.typcategory = 'A' THEN t.typelem ELSE t.typbasetype END
            WHERE n.nspname = ANY ($1) AND c.relkind IN ('r', 'p', 'm', 'f') AND NOT c.relispartition
                AND (t.typcategory = 'S' OR b.typcategory = 'S' OR t.typname IN ('json', 'jsonb', 'xml', 'hstore'))
            ORDER BY 1, 2, a.attnum
            """,
            [.textArray(settings.scannedSchemas)]
        ).rows
        return try rows.map { row in
            let (schema, table, column) = (try row[0].string(), try row[1].string(), try row[2].string())
            return Column(
                table: "\(PGIdentifier.quote(schema)).\(PGIdentifier.quote(table))",
                name: PGIdentifier.quote(column),
                label: "\(schema).\(table).\(column)"
            )
        }
        .filter { !Self.operatorColumns.contains($0.label) }
    }

    private func scan(
        _ column: Column,
        _ progress: Progress,
        on connection: PGConnection
    ) async throws -> [Finding] {
        try await connection.withTransaction(isolation: .repeatableRead, readOnly: true) { connection in
            var findings: [Finding] = []
            let allowed = Self.allowances[column.label]?.kinds ?? []
            for kind in PersonalDataPattern.allCases where !allowed.contains(kind) {
                let found = try await progress.patiently(settings.statementTimeout, on: connection) {
                    try await count(kind, column, on: connection)
                }
                if found > 0 { findings.append(Finding(column: column.label, kind: kind, count: found)) }
            }
            return findings
        }
    }

    private func count(_ kind: PersonalDataPattern, _ column: Column, on connection: PGConnection) async throws -> Int {
        var count = 0
        try await connection.stream(
            "SELECT m[1] FROM \(column.table), LATERAL regexp_matches(\(column.name)::text, $1, 'g') AS m",
            [.text(kind.expression)]
        ) { rows in
            for row in rows where !row[0].isNull {
                if kind.confirms(try row[0].string()) { count += 1 }
            }
        }
        return count
    }
}
