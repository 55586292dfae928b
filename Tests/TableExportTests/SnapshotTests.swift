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
        for floor in [NumberFloor(floor: nil, until: 5, next: nil), NumberFloor(floor: -9, until: nil, next: .max)] {
            let numbers = SnapshotMark(sinceMicros: 7, visible: mark.visible, numbers: floor)
            #expect(SnapshotMark(numbers.text) == numbers)
        }
    }

    /// The floor of numbers moves on when those have ended that were open when it was made, to what was seen then.
    @Test func theFloorOfNumbersFollowsTheOldestTransaction() {
        func run(_ text: String, top: Int64, after previous: SnapshotMark?, timeline: String = "1") -> SnapshotMark {
            var mark = Self.mark(text, timeline: timeline)
            mark.numbers = .of(mark, top: top, previous: previous)
            return mark
        }
        let first = run("100:105:100", top: 50, after: nil)
        #expect(first.numbers == NumberFloor(floor: nil, until: 105, next: 50), "nothing is known of what was open")
        let second = run("100:110:100", top: 90, after: first)
        #expect(second.numbers == first.numbers, "it is still open")
        let third = run("105:120:105", top: 200, after: second)
        #expect(third.numbers == NumberFloor(floor: 50, until: 120, next: 200), "all of then have ended")
        #expect(run("130:130:", top: 300, after: third).numbers == NumberFloor(floor: 200, until: 130, next: 300))
        let restored = run("125:125:", top: 60, after: third, timeline: "2")
        #expect(restored.numbers == NumberFloor(floor: nil, until: 125, next: 60))
        #expect(
            run("126:126:", top: 70, after: SnapshotMark(first.text.replacing("numbers=1", with: "x=1"))).numbers?.floor
                == nil
        )
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
