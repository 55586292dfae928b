import Crypto
package import Engine
package import Postgres
import Runtime

/// Removes a person's rows and keeps them away: no later run writes rows of the token again.
///
/// The person is named by the SHA-256 of the token, so that neither the ledger nor the note of the erasure holds the
/// token itself. Costs a full read of the tables that have rows of persons. Tokens of a further key version are other
/// tokens; `KeyRotation` carries erasures over to the new ones.
package struct PersonErasure: Job {
    package let name: JobName = "pii_forget"
    package let knownOptions: Set<RunOptionName> = [.dryRun, .account]
    package var targets: [PGPool] { [warehouse] }

    let warehouse: PGPool
    private let statementTimeout: Duration

    /// `statementTimeout` is how long one statement over the tables may take.
    package init(warehouse: PGPool, statementTimeout: Duration = .seconds(3_600)) {
        self.warehouse = warehouse
        self.statementTimeout = statementTimeout
    }

    /// What names the person of a token in the option `account`: lower-case hex of the token's SHA-256.
    ///
    /// Throws `.requestInvalid` for what is no token, and for a token of a key version that `settings` do not have: no
    /// run makes such a token, so its erasure would keep nobody away. The tokens of v2 tables are the source's own.
    package static func account(ofToken token: String, settings: AnalyticsSettings? = nil) throws -> String {
        guard let version = Tokeniser.version(ofToken: Array(token.utf8)) else {
            throw TallyError(
                .requestInvalid,
                during: "pii.forget",
                "the person must be named by a token",
                remedy: "Give the whole value of user_token, as in --token usr_1_…"
            )
        }
        if let settings, settings.readsV1 {
            let versions = [settings.key.version] + (settings.previousKey.map { [$0.version] } ?? [])
            guard versions.contains(version) else {
                throw TallyError(
                    .requestInvalid,
                    during: "pii.forget",
                    "the token is of key version \(version), which is not configured",
                    remedy: "Configured: \(versions.map(String.init).joined(separator: ", ")) (PII_TOKEN_KEY_VERSION). "
                        + "Give the person's token of that version."
                )
            }
        }
        return SHA256.hash(data: Array(token.utf8)).map { byte in
            String(byte >> 4, radix: 16) + String(byte & 15, radix: 16)
        }.joined()
    }

    package func run(_ context: RunContext) async throws -> RunSummary {
        let digest = try Self.digest(context.options.account)
        if context.options.dryRun {
            let found = try await context.retrying("pii.forget") {
                try await warehouse.withConnection { connection in
                    try await connection.withTransaction(readOnly: true) { connection in
                        try await context.progress.patiently(statementTimeout, on: connection) {
                            try await Self.count(digest, on: connection)
                        }
                    }
                }
            }
            return Self.summary(found, dryRun: true)
        }
        let removed = try await context.retrying("pii.forget") {
            try await warehouse.withConnection { connection in
                try await context.write(on: connection, durable: true) { connection in
                    try await context.progress.patiently(statementTimeout, on: connection) {
                        try await Self.erase(digest, context.runID, on: connection)
                    }
                }
            }
        }
        return Self.summary(removed, dryRun: false)
    }

    private static func digest(_ account: String?) throws -> [UInt8] {
        let digits = (account ?? "").utf8.compactMap { Tokeniser.digits.firstIndex(of: $0) }
        guard digits.count == 64, account?.utf8.count == 64 else {
            throw TallyError(
                .requestInvalid,
                during: "pii.forget",
                "the account must be the SHA-256 of a token, as 64 lower-case hex digits",
                remedy: "`tallyman forget --token …` makes it."
            )
        }
        return stride(from: 0, to: 64, by: 2).map { UInt8(digits[$0] << 4 | digits[$0 + 1]) }
    }

    private static func summary(_ rows: Int, dryRun: Bool) -> RunSummary {
        RunSummary(
            counts: [dryRun ? "rowsFound" : "rowsRemoved": rows],
            details: .null,
            deadLetters: 0,
            proof: dryRun ? .compareOnly : .commandTags
        )
    }

    private static func condition(_ table: PersonTable) -> String {
        table.tokens.map { "sha256(convert_to(\($0), 'UTF8')) = $1" }.joined(separator: " OR ")
    }

    private static func count(_ digest: [UInt8], on connection: PGConnection) async throws -> Int {
        var found = 0
        for table in PersonTable.all {
            let rows = try await connection.query(
                "SELECT count(*) FROM \(table.name) WHERE \(condition(table))",
                [.bytea(digest)]
            ).rows
            found += try rows.first?[0].int() ?? 0
        }
        return found
    }

    /// The erasure is noted before the rows go: a run that writes them meanwhile sees it, or has its rows removed here.
    private static func erase(_ digest: [UInt8], _ run: RunID, on connection: PGConnection) async throws -> Int {
        _ = try await connection.query(
            """
            INSERT INTO analytics.erasures (token_digest, rows_removed, run_id, erased_at) VALUES ($1, 0, $2, now())
            ON CONFLICT (token_digest) DO UPDATE SET run_id = excluded.run_id, erased_at = excluded.erased_at
            """,
            [.bytea(digest), .uuid(run.rawValue)]
        )
        var removed = 0
        for table in PersonTable.all {
            removed += try await connection.query(
                "DELETE FROM \(table.name) WHERE \(condition(table))",
                [.bytea(digest)]
            ).affectedRows
        }
        let left = try await count(digest, on: connection)
        let noted = try await connection.query(
            "UPDATE analytics.erasures SET rows_removed = rows_removed + $2 WHERE token_digest = $1",
            [.bytea(digest), .int(Int64(removed))]
        )
        guard left == 0, noted.affectedRows == 1 else {
            throw TallyError(.proofFailed, during: "pii.forget", "rows of the person are left, or the note was lost")
        }
        return removed
    }
}
