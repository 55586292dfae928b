import Testing

@testable import HTTPServer

@Suite struct ConnectionTableTests {
    @Test func whoHasWaitedLongestGoesFirstAndHandlersStay() {
        var table = ConnectionTable(max: 4)
        #expect((1...4).map { _ in table.admit() } == (1...4).map { .admitted($0) })
        table.enter(.handling, 1)
        table.enter(.sending, 2)
        table.enter(.idle, 3)
        #expect(table.admit() == .admittedInsteadOf(4, new: 8))
        #expect(table.isEvicted(4))
        #expect(table.admit() == .admittedInsteadOf(3, new: 9))
        table.enter(.handling, 8)
        table.enter(.handling, 9)
        #expect(table.admit() == .admittedInsteadOf(2, new: 12))
        table.enter(.handling, 12)
        #expect(table.admit() == .full)
        #expect(table.count == 7)
        for id in [2, 3, 4] { table.remove(id) }
        #expect(table.admit() == .full, "those that went had been replaced before")
        table.remove(1)
        #expect(table.admit() == .admitted(14))
    }

    @Test func evictionsDoNotRunAheadOfTheClosing() {
        var table = ConnectionTable(max: 16)
        for _ in 1...16 { _ = table.admit() }
        for _ in 1...8 {
            guard case .admittedInsteadOf = table.admit() else {
                Issue.record("there was room to make")
                return
            }
        }
        #expect(table.admit() == .full)
        #expect(table.count == 24)
    }

    @Test(arguments: [
        (0, "Thu, 01 Jan 1970 00:00:00 GMT"), (784_111_777, "Sun, 06 Nov 1994 08:49:37 GMT"),
        (951_782_400, "Tue, 29 Feb 2000 00:00:00 GMT"), (4_107_542_399, "Sun, 28 Feb 2100 23:59:59 GMT"),
        (4_107_542_400, "Mon, 01 Mar 2100 00:00:00 GMT"), (1_735_689_599, "Tue, 31 Dec 2024 23:59:59 GMT"),
    ])
    func datesAreWrittenAsTheStandardSays(seconds: Int, text: String) {
        #expect(HTTPDate.text(secondsSince1970: seconds) == text)
    }
}
