import Foundation
import Runtime
import Testing

@Suite struct ReleasingClockTests {
    @Test func aSleepIsNeverTooShort() async throws {
        let clock = ReleasingClock()
        for milliseconds in [0, 1, 20] {
            let began = clock.now
            try await clock.sleep(for: .milliseconds(milliseconds))
            #expect(began.duration(to: clock.now) >= .milliseconds(milliseconds))
        }
        try await clock.sleep(until: clock.now.advanced(by: .seconds(-5)), tolerance: nil)
    }

    /// Cancelled before it begins, while it begins, and under way.
    @Test func aCancelledSleepEndsAtOnce() async throws {
        for round in 0..<200 {
            let cancelled = await withTaskGroup(of: Bool.self) { group in
                group.addTask {
                    do {
                        try await ReleasingClock().sleep(for: .seconds(100_000_000_000))
                        return false
                    } catch {
                        return error is CancellationError
                    }
                }
                for _ in 0..<round % 4 { await Task.yield() }
                group.cancelAll()
                return await group.next()
            }
            #expect(cancelled == true)
        }
    }

    @Test func aDeadlineThatPassesCancelsAndIsTold() async throws {
        await #expect(throws: TallyError.self) {
            try await withDeadline(.milliseconds(20), during: "test.deadline") {
                try await ReleasingClock().sleep(for: .seconds(3_600))
            }
        }
        #expect(try await withDeadline(.seconds(3_600), during: "test.deadline") { 7 } == 7)
    }

    /// A hundred thousand calls within an hour's deadline, in a process of its own: with Task.sleep each of them would
    /// hold half a kilobyte for an hour.
    @Test(.enabled(if: FileManager.default.fileExists(atPath: "/proc/self/status"), "there is no /proc"))
    func deadlinesThatWereNotNeededLeaveNothing() async {
        await #expect(processExitsWith: .success) {
            func calls(_ count: Int) async throws -> Int {
                for _ in 0..<count { try await withDeadline(.seconds(3_600), during: "test.deadline") {} }
                let status = try String(contentsOfFile: "/proc/self/status", encoding: .utf8)
                let line = status.split(separator: "\n").first { $0.hasPrefix("RssAnon") }
                return line?.split { $0 == " " || $0 == "\t" }.dropFirst().first.flatMap { Int($0) } ?? 0
            }
            let before = try await calls(2_000)
            let after = try await calls(100_000)
            guard before > 0, after - before < 16_384 else { exit(EXIT_FAILURE) }
        }
    }
}
