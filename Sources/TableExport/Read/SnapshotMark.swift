import Runtime

/// The snapshot that a run read under, as its watermark keeps it.
///
/// `since` is a time such that whatever this snapshot does not show yet carries, if it is stamped with the clock of its
/// transaction, no older time: the start of the oldest transaction that was open, or the moment of the snapshot.
package struct SnapshotMark: Sendable, Equatable {
    package struct Visible: Sendable, Equatable {
        /// System identifier, timeline and database: transaction ids mean nothing elsewhere.
        let system: String
        let timeline: String
        let database: String
        /// `pg_current_snapshot()`: xmin, xmax and those in progress between them.
        let text: String
        let xmin: UInt64
        let xmax: UInt64

        package init?(system: String, timeline: String, database: String, text: String) {
            let parts = text.split(separator: ":", omittingEmptySubsequences: false)
            guard parts.count == 3, let xmin = UInt64(parts[0]), let xmax = UInt64(parts[1]), xmin <= xmax else {
                return nil
            }
            (self.system, self.timeline, self.database, self.text) = (system, timeline, database, text)
            (self.xmin, self.xmax) = (xmin, xmax)
        }
    }

    /// Microseconds since 2000-01-01 UTC.
    package let sinceMicros: Int64
    /// nil where the server hides it.
    package let visible: Visible?
    /// nil where the cursor is a time.
    package var numbers: NumberFloor?

    package var text: String {
        let numbers = numbers?.text ?? ""
        guard let visible else { return "since=\(sinceMicros)\(numbers)" }
        return "since=\(sinceMicros) system=\(visible.system) timeline=\(visible.timeline) "
            + "database=\(visible.database) snapshot=\(visible.text)\(numbers)"
    }

    package init(sinceMicros: Int64, visible: Visible?, numbers: NumberFloor? = nil) {
        self.sinceMicros = sinceMicros
        self.visible = visible
        self.numbers = numbers
    }

    /// nil for a text that no run of ours wrote.
    package init?(_ text: String?) {
        let pairs = (text ?? "").split(separator: " ").map { $0.split(separator: "=", maxSplits: 1).map(String.init) }
        guard pairs.allSatisfy({ $0.count == 2 }) else { return nil }
        let parts = Dictionary(pairs.map { ($0[0], $0[1]) }, uniquingKeysWith: { first, _ in first })
        guard let since = parts["since"].flatMap({ Int64($0) }) else { return nil }
        sinceMicros = since
        numbers = NumberFloor(parts)
        visible = parts["snapshot"].flatMap {
            Visible(
                system: parts["system"] ?? "",
                timeline: parts["timeline"] ?? "",
                database: parts["database"] ?? "",
                text: $0
            )
        }
    }
}

extension SnapshotMark {
    /// This mark, reaching as far back as `previous` while a transaction that was open then may still be.
    ///
    /// A role that may not see when others began relies on it: what is open over two runs is not forgotten.
    package func carrying(_ previous: SnapshotMark?) -> SnapshotMark {
        guard let previous, let here = visible, let there = previous.visible, here.system == there.system,
            here.xmin < there.xmax
        else { return self }
        return SnapshotMark(sinceMicros: min(sinceMicros, previous.sinceMicros), visible: visible)
    }
}

/// How a run looks for what became visible behind its cursor.
package enum BackwardRead: Sendable, Equatable {
    /// No transaction can have written anything since: there is nothing to look for.
    case nothing
    /// Rows written by transactions from this id on.
    case writtenFrom(xid: UInt64)
    /// All rows of the window, because the snapshots cannot be compared.
    case overlap(reason: String)

    /// What became visible since `previous`, seen from `now`.
    ///
    /// The comparison is with the snapshot's horizon, not with its list: a subtransaction has an id of its own, which
    /// that list does not hold while its parent is in progress.
    package static func decide(
        previous: SnapshotMark?,
        now: SnapshotMark,
        lookback: Lookback,
        xminHidden: String?
    ) -> BackwardRead {
        if lookback == .off { return .nothing }
        guard let previous else { return .overlap(reason: "the snapshot of the last run is not known") }
        if let xminHidden { return .overlap(reason: xminHidden) }
        guard let here = now.visible else { return .overlap(reason: "the source is a replica or hides its snapshots") }
        guard let there = previous.visible else {
            return .overlap(reason: "the last run could not see the source's snapshot")
        }
        guard (here.system, here.timeline, here.database) == (there.system, there.timeline, there.database) else {
            return .overlap(reason: "the source is another server, or was restored or promoted, since the last run")
        }
        guard here.xmax >= there.xmin else {
            return .overlap(reason: "the source's transaction ids went back since the last run")
        }
        // Ids of 32 bits stand on the rows: they can be told apart over less than half of their circle.
        guard here.xmax - there.xmin < 1 << 31 else {
            return .overlap(reason: "more than two billion transactions ran since the last run")
        }
        return here.xmax == there.xmin ? .nothing : .writtenFrom(xid: there.xmin)
    }
}
