import Foundation
import Logging
import Telemetry
import Testing

@Suite struct RunLogTests {
    /// Remembers what it was asked to print.
    private struct Printer: LogHandler {
        final class Lines: @unchecked Sendable {
            var all: [String] = []
        }
        let lines = Lines()
        var logLevel = Logger.Level.info
        var metadata: Logger.Metadata = [:]
        var metadataProvider: Logger.MetadataProvider?
        subscript(metadataKey key: String) -> Logger.Metadata.Value? {
            get { metadata[key] }
            set { metadata[key] = newValue }
        }
        func log(event: LogEvent) { lines.all.append(event.message.description) }
    }

    @Test func linesOfARunAreKeptAlsoWhenTheyAreNotPrinted() {
        let kept = RunLog()
        let printer = Printer()
        var logger = Logger(label: "test") { _ in RunLogHandler(printer, keeping: kept) }
        logger.event(.info, "of no run", [.job: "sync"])
        logger[metadataKey: LogKey.runID.rawValue] = "one"
        logger.event(.debug, "quiet", [.stage: "plan"])
        logger.event(.warning, "loud", [.attempt: "2"])
        logger.event(.trace, "too quiet")
        #expect(printer.lines.all == ["of no run", "loud"])
        let lines = kept.page(of: "one").lines
        #expect(lines.map(\.message) == ["quiet", "loud"])
        #expect(lines.map(\.level) == [.debug, .warning])
        #expect(lines[1].keys == ["attempt": "2"], "the run's id is what the lines are found by, not said again")
        #expect(kept.page(of: "two").lines.isEmpty)
    }

    @Test func linesAndRunsAreBounded() {
        let kept = RunLog()
        let logger = Logger(label: "test") { _ in RunLogHandler(Printer(), keeping: kept) }
        for number in 0..<(RunLog.linesMax + 50) {
            logger.event(.info, "again", [.runID: "long", .count: "\(number)"])
        }
        let page = kept.page(of: "long")
        #expect(page.lines.count == RunLog.linesMax)
        #expect(page.dropped == 50)
        #expect(page.lines.first?.keys["count"] == "50", "the oldest goes")
        for number in 0..<RunLog.runsMax { logger.event(.info, "another", [.runID: "\(number)"]) }
        #expect(kept.page(of: "long").lines.isEmpty, "the oldest run goes")
        #expect(kept.page(of: "0").lines.count == 1)
        logger.event(.info, "wide", [.runID: "wide", .reason: String(repeating: "x", count: 10_000)])
        #expect(kept.page(of: "wide").lines.first?.keys["reason"]?.count == 500)
    }
}
