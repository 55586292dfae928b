import TableExport
import Testing

/// How a run decides what to read behind its cursor.
@Suite struct SnapshotTests {
    static func mark(_ text: String, since: Int64 = 0, system: String = "1", timeline: String = "1") -> SnapshotMark {
        SnapshotMark(
            sinceMicros: since,
            visible: .init(system: system, timeline: timeline, database: "5", text: text)
        )
    }

    @Test(arguments: [
        ("100:100:", "100:100:", BackwardRead.nothing), ("100:105:102,104", "105:105:", .writtenFrom(xid: 100)),
        ("100:105:100", "100:105:100", .writtenFrom(xid: 100)), ("105:105:", "106:106:", .writtenFrom(xid: 105)),
        ("100:105:", "90:99:", .overlap(reason: "the source's transaction ids went back since the last run")),
        (
            "1:1:", "2147483700:2147483700:",
            .overlap(reason: "more than two billion transactions ran since the last run")
        ),
    ])
    func theHorizonDecides(previous: String, now: String, expected: BackwardRead) {
        let decided = BackwardRead.decide(
            previous: Self.mark(previous),
            now: Self.mark(now),
            lookback: .seconds(900),
            xminHidden: nil
        )
        #expect(decided == expected)
    }

    @Test(arguments: [
        (SnapshotMark?.none, "the snapshot of the last run is not known"),
        (mark("1:1:", system: "2"), "the source is another server, or was restored or promoted, since the last run"),
        (mark("1:1:", timeline: "2"), "the source is another server, or was restored or promoted, since the last run"),
        (SnapshotMark(sinceMicros: 0, visible: nil), "the last run could not see the source's snapshot"),
    ])
    func whatCannotBeComparedIsReadWhole(previous: SnapshotMark?, reason: String) {
        let now = Self.mark("5:5:")
        let decided = BackwardRead.decide(previous: previous, now: now, lookback: .everything, xminHidden: nil)
        #expect(decided == .overlap(reason: reason))
        #expect(
            BackwardRead.decide(previous: now, now: now, lookback: .everything, xminHidden: "the source is a view")
                == .overlap(reason: "the source is a view")
        )
    }

    @Test(arguments: ["100:100:", "100:105:102,104", "18446744073709551000:18446744073709551600:"])
    func aMarkSurvivesBeingWritten(text: String) {
        let mark = Self.mark(text, since: -123)
        #expect(SnapshotMark(mark.text) == mark)
        let hidden = SnapshotMark(sinceMicros: 7, visible: nil)
        #expect(SnapshotMark(hidden.text) == hidden)
    }

    @Test(arguments: ["", "nonsense", "since=x", "since=1 snapshot", "a=b"])
    func aTextOfSomebodyElseIsNoMark(text: String) {
        #expect(SnapshotMark(text) == nil)
    }

    @Test func whatIsOpenOverTwoRunsIsNotForgotten() {
        let first = Self.mark("100:110:100", since: 1_000)
        #expect(Self.mark("100:120:100", since: 5_000).carrying(first).sinceMicros == 1_000)
        #expect(Self.mark("110:120:", since: 5_000).carrying(first).sinceMicros == 5_000, "all of then have ended")
        #expect(Self.mark("100:120:100", since: 500).carrying(first).sinceMicros == 500)
    }
}
