import Postgres
import Runtime

/// The check a pull's success rests on (INV-11): each day's row is what its stored lines add up to.
struct DerivedCheck {
    let scope: SourceScope
    let types: ColumnTypes

    /// Whether there is something derived to compare. Throws `.proofFailed` with the number of days that differ.
    func check(_ pipeline: Pipeline, in target: PGPool) async throws -> Bool {
        let (lines, table, sum, column, fee): (String, String, String, String, String)
        switch pipeline {
        case .products, .listings: return false
        case .sales:
            (lines, table, column, fee) = ("order_lines", "sales_ts", "revenue", "''")
            sum = "sum(revenue - refunded - returned)"
        case .fees: (lines, table, sum, column, fee) = ("fee_lines", "fees_ts", "sum(amount)", "amount", "fee_type")
        }
        // One pass over both and no join: what is left of a day after its row was taken off must be nothing. Rows
        // without lines are those of the service replaced.
        let rows = try await target.withConnection { connection in
            try await connection.query(
                """
                SELECT count(*) FROM (
                    SELECT FROM (
                        SELECT product_code, ts, \(fee)::text AS fee, 1 AS derived,
                            \(types.cast(sum, "\(table).\(column)"))::numeric AS amount
                        FROM marketplace.\(lines) WHERE account_id = $1 AND marketplace = $2 AND country = $3
                        GROUP BY 1, 2, 3
                        UNION ALL
                        SELECT product_code::text, ts, \(fee)::text, 0, -(\(column)::numeric) FROM public.\(table)
                        WHERE account_id = \(types.cast("$1::text", "\(table).account_id"))
                            AND marketplace::text = $2 AND country::text = $3) AS both_sides
                    GROUP BY product_code, ts, fee
                    HAVING sum(derived) > 0 AND (sum(amount) <> 0 OR count(*) <> 2)) AS differing
                """,
                [.text(scope.accountID), .text(scope.source), .text(scope.country)]
            ).rows
        }
        let differing = try rows.first?[0].int() ?? 0
        guard differing == 0 else {
            throw TallyError(
                .proofFailed,
                during: "marketplace.check",
                "\(differing) rows of \(table) are not the sum of their lines",
                remedy: "Somebody else writes this table, or emptied it: move the watermark back and pull again."
            )
        }
        return true
    }
}
