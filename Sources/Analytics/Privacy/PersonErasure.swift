package import Engine
package import Postgres
import Crypto
import Runtime

/// Removes a person's rows by token and keeps them away: no later run writes rows of the token again.
///
/// What is kept is the token's SHA-256, the number of rows and the run. Tokens of a further key version are other
/// tokens: erase those too, after a rotation.
package struct PersonErasure: Job {
    package let name: JobName = "pii_forget"
    package let knownOptions: Set<RunOptionName> = [.dryRun, .account]
    package var targets: [PGPool] { [warehouse] }

    /// Every table that has rows of persons, with the columns that hold their tokens.
    static let tables: [(name: String, tokens: [String])] =
        (Measure.ofUsers + Measure.ofOrders + Measure.ofPayments + Measure.ofNotifications).compactMap { measure in
            let tokens = measure.tokenColumns.map { measure.columns[$0] }
            return tokens.isEmpty ? nil : (measure.table, tokens)
        }

    let warehouse: PGPool

    package init(warehouse: PGPool) { self.warehouse = warehouse }

    package func run(_ context: RunContext) async throws -> RunSummary {
        guard let token = context.options.account, Tokeniser.looksLikeToken(Array(token.utf8)) else {
            throw TallyError(
                .requestInvalid,
                during: "pii.forget",
                "the person must be named by a token",
                remedy: "Give the value of user_token, as in --token usr_1_…"
            )
        }
        if context.options.dryRun {
            let found = try await warehouse.withConnection { connection in
                try await connection.withTransaction(readOnly: true) { try await Self.count(token, on: $0) }
            }
            return Self.summary(found, dryRun: true)
        }
        let removed = try await context.retrying("pii.forget") {
            try await warehouse.withConnection { connection in
                try await context.write(on: connection, durable: true) { connection in
                    try await Self.erase(token, context.runID, on: connection)
                }
            }
        }
        return Self.summary(removed, dryRun: false)
    }

    private static func summary(_ rows: Int, dryRun: Bool) -> RunSummary {
        RunSummary(
            counts: [dryRun ? "rowsFound" : "rowsRemoved": rows],
            details: .null,
            deadLetters: 0,
            proof: dryRun ? .compareOnly : .commandTags
        )
    }

    private static func condition(_ tokens: [String]) -> String {
        tokens.map { "\($0) = $1" }.joined(separator: " OR ")
    }

    private static func count(_ token: String, on connection: PGConnection) async throws -> Int {
        var found = 0
        for table in tables {
            let rows = try await connection.query(
                "SELECT count(*) FROM \(table.name) WHERE \(condition(table.tokens))",
                [.text(token)]
            ).rows
            found += try rows.first?[0].int() ?? 0
        }
        return found
    }

    /// The erasure is noted before the rows go: a run that writes them meanwhile sees it, or has its rows removed here.
    private static func erase(_ token: String, _ run: RunID, on connection: PGConnection) async throws -> Int {
        let digest = Array(SHA256.hash(data: Array(token.utf8)))
        _ = try await connection.query(
            """
            INSERT INTO analytics.erasures (token_digest, rows_removed, run_id, erased_at) VALUES ($1, 0, $2, now())
            ON CONFLICT (token_digest) DO UPDATE SET run_id = excluded.run_id, erased_at = excluded.erased_at
            """,
            [.bytea(digest), .uuid(run.rawValue)]
        )
        var removed = 0
        for table in tables {
            removed += try await connection.query(
                "DELETE FROM \(table.name) WHERE \(condition(table.tokens))",
                [.text(token)]
            ).affectedRows
        }
        let left = try await count(token, on: connection)
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
