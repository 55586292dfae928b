import Engine
import Postgres
import Runtime

/// What a run says at its end.
struct ExportReport {
    let plan: ExportPlan
    let tally: ExportTally
    let backward: BackwardRead
    let end: Position?
    var verified: Verification.Result?
    var notices: [String]
    var withoutCursor = 0
    var isTakenOver = false
    var isDryRun = false

    /// Rows without a cursor are counted up to here.
    static let withoutCursorMax = 100_000

    init(plan: ExportPlan, tally: ExportTally, backward: BackwardRead, end: Position?) {
        self.plan = plan
        self.tally = tally
        self.backward = backward
        self.end = end
        notices = plan.notices
    }

    var summary: RunSummary {
        var counts = [
            "read": tally.read, "written": tally.written, "unchanged": tally.unchanged, "late": tally.late,
            "dropped": tally.dropped, "batches": tally.batches, "deadLetters": tally.deadLetters,
            "withoutCursor": withoutCursor,
        ]
        if let removed = tally.removed {
            counts["deleted"] = removed.deleted
            counts["marked"] = removed.marked
        }
        if let verified {
            counts["missing"] = verified.missing
            counts["stale"] = verified.stale
            counts["extra"] = verified.extra
        }
        return RunSummary(
            counts: counts,
            details: details,
            deadLetters: tally.deadLetters,
            proof: verified.map { $0.isClean ? .fullCompare : .compareOnly } ?? (isDryRun ? .compareOnly : .commandTags)
        )
    }

    private var details: JSONValue {
        var notices = notices
        if withoutCursor > 0 {
            let count =
                withoutCursor > Self.withoutCursorMax ? "more than \(Self.withoutCursorMax)" : "\(withoutCursor)"
            notices.append("\(count) rows have no cursor and are not exported")
        }
        if isTakenOver { notices.append("the position was taken over from analytics_raw.pg_export_state") }
        if case .overlap(let reason) = backward {
            notices.append("rows behind the cursor were all read again: \(reason)")
        }
        var details: [String: JSONValue] = [
            "cursor": end.map { .string($0.cursor) } ?? .null, "cursorId": end?.id.map { .string($0) } ?? .null,
            "format": .string(plan.format.rawValue), "lookback": .string(backwardName),
            "notices": .array(notices.map { .string($0) }),
        ]
        if let verified { details["verify"] = verified.json }
        return .object(details)
    }

    private var backwardName: String {
        switch backward {
        case .nothing: "nothing new"
        case .writtenFrom: "snapshot"
        case .overlap: "overlap"
        }
    }
}
