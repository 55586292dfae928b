import Engine
import Postgres
import Runtime

/// Puts new tokens in the place of old ones by the pairs in `pg_temp.tallyman_tokens`, inside one transaction.
struct TokenSwap: Sendable {
    struct Result: Sendable {
        var persons = 0
        var rotated = 0
        var removed = 0
        var erasures = 0
    }

    let run: RunID
    /// At most this share of the rows may belong to nobody.
    let deletePercentMax: Int

    private static let nobodys = """
        NOT EXISTS (SELECT FROM pg_temp.tallyman_tokens AS p WHERE p.was = t.user_token)
            AND NOT EXISTS (SELECT FROM pg_temp.tallyman_tokens AS p WHERE p.becomes = t.user_token)
        """

    /// Throws `.changeImplausible` when too many rows would go, `.proofFailed` when an old token is left behind.
    func carryOut(on warehouse: PGConnection) async throws -> Result {
        // Nobody writes or erases meanwhile; readers go on. Whoever writes locks the erasures first, so no deadlock.
        let names = ["analytics.erasures"] + PersonTable.all.map(\.name)
        try await warehouse.execute("LOCK TABLE \(names.joined(separator: ", ")) IN SHARE ROW EXCLUSIVE MODE")
        var result = Result()
        result.persons = try await number("SELECT count(*) FROM pg_temp.tallyman_tokens", on: warehouse)
        for table in PersonTable.all {
            try await removeNobodys(table, &result, on: warehouse)
            try await rotate(table, &result, on: warehouse)
        }
        try await carryErasures(&result, on: warehouse)
        return result
    }

    private func removeNobodys(
        _ table: PersonTable,
        _ result: inout Result,
        on warehouse: PGConnection
    ) async throws {
        let key = table.tokens[0]
        let all = try await number("SELECT count(*) FROM \(table.name)", on: warehouse)
        let removed = try await warehouse.query(
            "DELETE FROM \(table.name) AS t WHERE \(Self.nobodys.replacing("t.user_token", with: "t.\(key)"))"
        ).affectedRows
        // INV-6: a short read of the source must not empty the warehouse; the transaction rolls back.
        guard removed * 100 <= all * deletePercentMax else {
            throw TallyError(
                .changeImplausible,
                during: "pii.rotate",
                "\(removed) of \(all) rows of \(table.name) have tokens of nobody in the source",
                remedy: "Check PII_TOKEN_KEY_PREVIOUS and the source; then raise PII_ROTATION_MAX_DELETE_PERCENT."
            )
        }
        result.removed += removed
    }

    private func rotate(_ table: PersonTable, _ result: inout Result, on warehouse: PGConnection) async throws {
        let key = table.tokens[0]
        let others = table.tokens.dropFirst().map {
            ", \($0) = CASE WHEN t.\($0) IS NOT NULL THEN p.becomes END"
        }
        let planned = try await number(
            "SELECT count(*) FROM \(table.name) AS t JOIN pg_temp.tallyman_tokens AS p ON p.was = t.\(key) "
                + "WHERE p.was <> p.becomes",
            on: warehouse
        )
        let rotated = try await warehouse.query(
            """
            UPDATE \(table.name) AS t SET \(key) = p.becomes\(others.joined()), run_id = $1, computed_at = now()
            FROM pg_temp.tallyman_tokens AS p WHERE p.was = t.\(key) AND p.was <> p.becomes
            """,
            [.uuid(run.rawValue)]
        ).affectedRows
        let left = try await number(
            "SELECT count(*) FROM \(table.name) AS t WHERE NOT EXISTS "
                + "(SELECT FROM pg_temp.tallyman_tokens AS p WHERE p.becomes = t.\(key))",
            on: warehouse
        )
        guard rotated == planned, left == 0 else {
            throw TallyError(
                .proofFailed,
                during: "pii.rotate",
                "\(table.name): \(planned) rows were to change, \(rotated) did, \(left) are left behind"
            )
        }
        result.rotated += rotated
    }

    /// Who was erased under the old token stays erased under the new one.
    private func carryErasures(_ result: inout Result, on warehouse: PGConnection) async throws {
        result.erasures = try await warehouse.query(
            """
            INSERT INTO analytics.erasures (token_digest, rows_removed, run_id, erased_at)
            SELECT DISTINCT sha256(convert_to(p.becomes, 'UTF8')), 0::bigint, $1::uuid, now()
            FROM pg_temp.tallyman_tokens AS p
            JOIN analytics.erasures AS e ON e.token_digest = sha256(convert_to(p.was, 'UTF8'))
            WHERE p.was <> p.becomes
            ON CONFLICT (token_digest) DO NOTHING
            """,
            [.uuid(run.rawValue)]
        ).affectedRows
        for table in PersonTable.all {
            result.removed += try await warehouse.query(
                "DELETE FROM \(table.name) AS t USING analytics.erasures AS e "
                    + "WHERE e.token_digest = sha256(convert_to(t.\(table.tokens[0]), 'UTF8'))"
            ).affectedRows
        }
    }

    private func number(_ sql: String, on warehouse: PGConnection) async throws -> Int {
        try await warehouse.query(sql).rows.first?[0].int() ?? 0
    }
}
