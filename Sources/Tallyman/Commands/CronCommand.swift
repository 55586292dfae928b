import API
import ArgumentParser
import Cron
import Foundation
import Runtime

struct CronCommand: AsyncParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "cron",
        abstract: "Explain cron expressions.",
        subcommands: [CronNextCommand.self]
    )
}

struct CronNextCommand: TallyCommand {
    static let configuration = CommandConfiguration(
        commandName: "next",
        abstract: "Print the next fires of a cron expression, in UTC."
    )

    @OptionGroup var common: CommonOptions

    @Argument(help: "The expression, in quotes.")
    var expression: String

    @Option(name: .customLong("timezone"), help: "IANA time zone the expression is read in.")
    var zone = "UTC"

    @Option(name: .long, help: "Instant to start from, ISO 8601 (default: now).")
    var from: String?

    @Option(name: .long, help: "How many fires, 1 to 1000.")
    var count = 5

    func execute(_ console: Console) async throws -> ExitStatus {
        guard let timeZone = TimeZone(named: zone) else {
            throw Self.invalid("--timezone is not an IANA time zone")
        }
        guard (1...1000).contains(count) else { throw Self.invalid("--count must be from 1 to 1000") }
        var instant = try start()
        let cron: CronExpression
        do {
            cron = try CronExpression(expression)
        } catch {
            throw TallyError(.requestInvalid, during: "command.cron", "the expression is refused: \(error)")
        }
        var fires: [Date] = []
        while fires.count < count, let next = cron.next(after: instant, in: timeZone) {
            fires.append(next)
            instant = next
        }
        let texts = fires.map { $0.formatted(.iso8601) }
        console.answer(["fires": .array(texts.map { .string($0) }), "words": .string(cron.words)])
        console.line(cron.words)
        for text in texts { console.line(text) }
        return .done
    }

    private func start() throws -> Date {
        guard let from else { return Date() }
        for style in [Date.ISO8601FormatStyle(), Date.ISO8601FormatStyle(includingFractionalSeconds: true)] {
            if let date = try? style.parse(from) { return date }
        }
        throw Self.invalid("--from must be an ISO 8601 instant such as 2026-01-15T10:30:00Z")
    }

    private static func invalid(_ summary: String) -> TallyError {
        TallyError(.requestInvalid, during: "command.cron", summary)
    }
}
