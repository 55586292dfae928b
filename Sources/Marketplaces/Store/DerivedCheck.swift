import Postgres
import Runtime

/// The check a pull's success rests on (INV-11): each day's row is what its stored lines add up to.
struct DerivedCheck {
    let scope: SourceScope
    let types: ColumnTypes

    /// Throws `.proofFailed` with the number of days that differ.
    func check(_ pipeline: Pipeline, in target: PGPool) async throws {
        let (lines, table, sum, value, fee): (String, String, String, String, String)
        switch pipeline {
        case .products, .listings: return
        case .sales:
            (lines, table, sum, value, fee) = (
                "order_lines", "sales_ts", "sum(revenue - refunded)", "s.revenue", "''::text"
            )
        case .fees: (lines, table, sum, value, fee) = ("fee_lines", "fees_ts", "sum(amount)", "s.amount", "fee_type")
        }
        let sameFee = pipeline == .fees ? "AND s.fee_type::text = l.fee" : ""
        let rows = try await target.withConnection { connection in
            try await connection.query(
                """
                SELECT count(*) FROM (
                    SELECT product_code, ts, \(fee) AS fee, \(sum) AS total FROM marketplace.\(lines)
                    WHERE account_id = $1 AND marketplace = $2 AND country = $3 GROUP BY 1, 2, 3) l
                LEFT JOIN public.\(table) s ON s.account_id = \(types.cast("$1::text", "\(table).account_id"))
                    AND s.marketplace::text = $2 AND s.country::text = $3
                    AND s.product_code::text = l.product_code AND s.ts = l.ts \(sameFee)
                WHERE \(types.cast("l.total", "\(table).\(pipeline == .sales ? "revenue" : "amount")"))
                    IS DISTINCT FROM \(value)
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
    }
}
