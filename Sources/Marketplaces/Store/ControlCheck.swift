import Engine
import Foundation
import Logging
import Postgres
import Runtime
import Telemetry

/// Holds what was stored against the vendor's own sums by day.
///
/// A difference is told, not a failure: the vendor's figures settle later than its orders.
struct ControlCheck {
    struct Outcome: Equatable {
        var days = 0
        var differing = 0
        /// What kept the vendor's sums from being asked for.
        var failed: TallyError.Kind?
    }

    let puller: Puller

    func check(until: Date) async throws -> Outcome {
        let totals: [ControlTotal]
        do {
            totals = try await puller.context.retrying("marketplace.control") {
                try await puller.source.controlTotals(until: until)
            }
        } catch is PullPaused {
            return Outcome()
        }
        guard !totals.isEmpty else { return Outcome() }
        let stored = try await stored(totals.map(\.day))
        var outcome = Outcome(days: totals.count)
        for total in totals {
            let ours = stored[total.day] ?? (0, 0)
            if ours.units != total.units || ours.revenue != total.revenue { outcome.differing += 1 }
        }
        if outcome.differing > 0 {
            puller.context.logger.event(
                .warning,
                "stored sales differ from the vendor's own daily sums",
                [.key: puller.scope.scope, .count: "\(outcome.differing)"]
            )
        }
        return outcome
    }

    /// Units and revenue by day: orders that were not cancelled, before refunds.
    ///
    /// Each line's order is looked up by the index: right after a first load the planner has no statistics, and joined
    /// freely it reads all orders for every line.
    private func stored(_ days: [Date]) async throws -> [Date: (units: Int, revenue: Decimal)] {
        guard let first = days.min(), let last = days.max() else { return [:] }
        let scope = puller.scope
        let rows = try await puller.target.withConnection { connection in
            try await connection.query(
                """
                SELECT l.ts, sum(l.units)::bigint, sum(l.revenue)::text FROM marketplace.order_lines l
                WHERE l.source = $1 AND l.account_id = $2 AND l.scope = $3 AND l.ts BETWEEN $4 AND $5
                    AND l.refund_of IS NULL
                    AND (SELECT d.status FROM marketplace.documents d WHERE d.source = $1 AND d.account_id = $2
                        AND d.scope = $3 AND d.kind = 'order' AND d.document_id = l.document_id)
                        NOT IN ('cancelled', 'refunded') GROUP BY l.ts
                """,
                [
                    .text(scope.source), .text(scope.accountID), .text(scope.scope), .timestamp(first),
                    .timestamp(last),
                ]
            ).rows
        }
        var byDay: [Date: (units: Int, revenue: Decimal)] = [:]
        for row in rows { byDay[try row[0].date()] = (try row[1].int(), try Money.decimal(try row[2].string())) }
        return byDay
    }
}
