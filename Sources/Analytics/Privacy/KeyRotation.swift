package import Engine
package import Postgres
import Runtime

/// Replaces the tokens of the previous key by those of the present one; it needs both keys.
///
/// Each identifier of the source gives a pair of tokens; every row of a person then gets the new token, in one
/// transaction. A row whose token is in no pair belongs to a person the source no longer has: it is removed, as the
/// next computation of its day would do, unless there are so many that the source itself is in doubt (INV-6).
/// Erasures are carried over. Tokens that the source itself made stay as they are. Running it twice is harmless.
package struct KeyRotation: Job {
    package let name: JobName = "pii_rotate"
    package let knownOptions: Set<RunOptionName> = []
    package var targets: [PGPool] { [warehouse] }

    let settings: AnalyticsSettings
    let source: PGPool
    let warehouse: PGPool

    /// `source` must be a pool of read-only sessions.
    package init(settings: AnalyticsSettings, source: PGPool, warehouse: PGPool) {
        self.settings = settings
        self.source = source
        self.warehouse = warehouse
    }

    package func run(_ context: RunContext) async throws -> RunSummary {
        guard let previous = settings.previousKey else {
            throw TallyError(
                .settingsInvalid,
                during: "pii.rotate",
                "the previous key is not set",
                remedy: "Set PII_TOKEN_KEY_PREVIOUS beside the new PII_TOKEN_KEY."
            )
        }
        let result = try await context.retrying("pii.rotate") {
            try await warehouse.withConnection { try await rotate(from: previous, context, $0) }
        }
        return RunSummary(
            counts: [
                "persons": result.persons, "rowsRotated": result.rotated, "rowsRemoved": result.removed,
                "erasuresCarriedOver": result.erasures,
            ],
            details: .null,
            deadLetters: 0,
            proof: .commandTags
        )
    }

    private func rotate(
        from previous: TokenKey,
        _ context: RunContext,
        _ warehouse: PGConnection
    ) async throws -> TokenSwap.Result {
        context.progress.stage("pairs")
        try await warehouse.execute(
            """
            DROP TABLE IF EXISTS pg_temp.tallyman_pairs, pg_temp.tallyman_tokens;
            CREATE TEMPORARY TABLE tallyman_pairs (was text NOT NULL, becomes text NOT NULL)
            """
        )
        try await readPairs(from: previous, context, into: warehouse)
        try await warehouse.withTransaction { warehouse in
            try await context.progress.patiently(settings.statementTimeout, on: warehouse) {
                try await warehouse.execute(
                    """
                    CREATE TEMPORARY TABLE tallyman_tokens AS SELECT DISTINCT was, becomes FROM tallyman_pairs;
                    DROP TABLE tallyman_pairs;
                    CREATE INDEX ON tallyman_tokens (was);
                    CREATE INDEX ON tallyman_tokens (becomes);
                    ANALYZE tallyman_tokens
                    """
                )
            }
        }
        context.progress.stage("rows")
        let swap = TokenSwap(run: context.runID, deletePercentMax: settings.rotationDeletePercentMax)
        let result = try await context.write(on: warehouse, durable: true) { warehouse in
            try await context.progress.patiently(settings.statementTimeout, on: warehouse) {
                try await swap.carryOut(on: warehouse)
            }
        }
        try await warehouse.execute("DROP TABLE tallyman_tokens")
        return result
    }

    /// Fills the pairs under one snapshot of the source; identifiers leave memory as tokens only.
    private func readPairs(
        from previous: TokenKey,
        _ context: RunContext,
        into warehouse: PGConnection
    ) async throws {
        let (before, after) = (Tokeniser(previous), Tokeniser(settings.key))
        let schema = settings.schema
        try await source.withConnection { source in
            let catalog = try await SourceCatalog.read(source)
            try await source.withTransaction(isolation: .repeatableRead, readOnly: true) { source in
                try await context.progress.limitStatements(to: settings.statementTimeout, on: source)
                for query in PersonQuery.all where query.isThere(catalog, schema) {
                    let silence = Silence(context.progress)
                    defer { silence.end() }
                    try await warehouse.copyInStart("COPY tallyman_pairs FROM STDIN (FORMAT binary)")
                    try await source.stream(query.sql(schema)) { rows in
                        silence.end()
                        var buffer = RowBuffer()
                        for value in rows.compactMap({ $0[0].bytes }) {
                            buffer.append([
                                before.token(of: value, in: schema), after.token(of: value, in: schema),
                            ])
                        }
                        try await warehouse.copyInSend(buffer.bytes)
                        context.progress.add(read: rows.count)
                    }
                    _ = try await warehouse.copyInFinish()
                }
            }
        }
    }
}
