/// Below which number nothing lies that a snapshot does not show yet, where the cursor is a number.
///
/// A transaction draws its numbers while others overtake it, so how far back it reaches is told by when it began, not
/// by how many numbers came since: what was open at an earlier run reaches back behind what that run saw.
package struct NumberFloor: Sendable, Equatable {
    /// Transactions with ids below `until` have drawn no number below this; nil where nothing is known.
    package let floor: Int64?
    /// nil where the server hides its snapshots: then the floor moves with each run.
    package let until: UInt64?
    /// All other transactions have drawn no number below this; nil where nothing is known.
    package let next: Int64?

    package init(floor: Int64?, until: UInt64?, next: Int64?) {
        self.floor = floor
        self.until = until
        self.next = next
    }
}

extension NumberFloor {
    /// What holds for a run that reads under `now` and sees `top` as its greatest number.
    ///
    /// The old floor stays as long as a transaction it was made for may be open; on the first run, and where the source
    /// has another history than at the last one, nothing is known.
    package static func of(_ now: SnapshotMark, top: Int64?, previous: SnapshotMark?) -> NumberFloor {
        guard let previous, let old = previous.numbers, now.sharesHistory(with: previous) else {
            return NumberFloor(floor: nil, until: now.visible?.xmax, next: top)
        }
        if let here = now.visible, let until = old.until, here.xmin < until { return old }
        return NumberFloor(floor: old.next, until: now.visible?.xmax, next: top)
    }

    var text: String {
        let pairs = [
            ("floor", floor.map { "\($0)" }), ("until", until.map { "\($0)" }), ("next", next.map { "\($0)" }),
        ]
        return " numbers=1" + pairs.compactMap { name, value in value.map { " \(name)=\($0)" } }.joined()
    }

    /// nil where the mark is of a time, or of a version that kept no floor.
    init?(_ parts: [String: String]) {
        guard parts["numbers"] != nil else { return nil }
        self.init(
            floor: parts["floor"].flatMap { Int64($0) },
            until: parts["until"].flatMap { UInt64($0) },
            next: parts["next"].flatMap { Int64($0) }
        )
    }
}

extension SnapshotMark {
    /// Whether ids and numbers of both marks come from one history: no other server, no restore, no promotion between.
    ///
    /// A source that shows its snapshots at neither time is taken for the same.
    package func sharesHistory(with previous: SnapshotMark) -> Bool {
        guard let here = visible, let there = previous.visible else { return visible == previous.visible }
        return (here.system, here.timeline, here.database) == (there.system, there.timeline, there.database)
            && here.xmax >= there.xmin && here.xmax - there.xmin < 1 << 31
    }
}
