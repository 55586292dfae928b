import Engine
import Foundation
import Marketplaces
import Postgres
import Runtime
import TestKit
import Testing

/// What vendors change without moving the time they are asked by: read again over 14 days once a day, over 30 days once
/// a week.
@Suite(.serialized) struct LateChangeTests {
    struct Part: Sendable, CustomTestStringConvertible {
        let job: String
        let pipeline: String
        let lines: String
        /// When the vendor dated the line, and which lines are meant.
        let time: String
        var filter = "true"
        var testDescription: String { "\(job) \(pipeline)" }
    }

    private static let parts = [
        Part(job: "shopify", pipeline: "sales", lines: "order_lines", time: "sold_at"),
        Part(job: "shopify", pipeline: "fees", lines: "fee_lines", time: "posted_at"),
        // Refunds are told by the finances, which come late; Amazon dates an order's own changes.
        Part(
            job: "amazon",
            pipeline: "sales",
            lines: "order_lines",
            time: "sold_at",
            filter: "refund_of IS NOT NULL"
        ),
        Part(job: "amazon", pipeline: "fees", lines: "fee_lines", time: "posted_at"),
    ]

    @Test(arguments: parts)
    func lateChangesAreReadAgain(_ part: Part) async throws {
        let bench = try await PullBench()
        var options = RunOptions()
        options.pipeline = part.pipeline
        // A Tuesday: Amazon's refunds are read by the calendar's days and weeks.
        let start = PullBench.noon.addingTimeInterval(2 * 86_400)
        let days = { (count: Double) in start.addingTimeInterval(86_400 * count) }
        func run(_ at: Date) async throws {
            let job = part.job == "shopify" ? bench.shopify(at: at) : bench.amazon(at: at)
            let record = try await bench.run(job, options)
            #expect(record.state == .succeeded, "\(String(describing: record.error))")
        }
        /// Lines dated so many days before the start.
        func dated(_ from: Double, _ to: Double) -> String {
            "FROM marketplace.\(part.lines) WHERE \(part.filter) AND \(part.time) BETWEEN "
                + "'\(WireTime.text(days(-from)))' AND '\(WireTime.text(days(-to)))'"
        }
        func count(_ from: Double, _ to: Double) throws -> Int {
            try #require(Int(try bench.psql("SELECT count(*) \(dated(from, to))")))
        }
        let (recent, older) = ((12.5, 4.0), (27.0, 21.0))
        try await run(days(0))
        let had = (recent: try count(recent.0, recent.1), older: try count(older.0, older.1))
        #expect(had.recent > 0 && had.older > 0)
        // As if the vendor had told of none of them, and tells of them now.
        for span in [recent, older] { _ = try bench.psql("DELETE \(dated(span.0, span.1))") }
        _ = try bench.psql(Self.derived[part.lines] ?? "")
        try await run(days(0).addingTimeInterval(3_600))
        #expect(try count(recent.0, recent.1) == 0, "not each hour")
        try await run(days(1.5))
        #expect(try count(recent.0, recent.1) == had.recent, "fourteen days on the next day")
        #expect(try count(older.0, older.1) == 0)
        try await run(days(8.5))
        #expect(try count(older.0, older.1) == had.older, "thirty days a week later")
        await bench.pool.close()
    }

    /// The time series made anew from the lines that are left.
    private static let derived = [
        "order_lines": """
        DELETE FROM sales_ts;
        INSERT INTO sales_ts (account_id, marketplace, country, product_code, ts, units_sold, revenue, currency_code)
        SELECT account_id, marketplace, country, product_code, ts, sum(units - units_refunded - units_returned),
            sum(revenue - refunded - returned), min(currency_code) FROM marketplace.order_lines GROUP BY 1, 2, 3, 4, 5
        """,
        "fee_lines": """
        DELETE FROM fees_ts;
        INSERT INTO fees_ts (account_id, marketplace, country, product_code, ts, fee_type, amount, currency_code)
        SELECT account_id, marketplace, country, product_code, ts, fee_type, sum(amount), min(currency_code)
        FROM marketplace.fee_lines GROUP BY 1, 2, 3, 4, 5, 6
        """,
    ]
}
