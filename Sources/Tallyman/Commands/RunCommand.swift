import API
import ArgumentParser
import Engine
import Foundation
import Runtime

struct RunCommand: TallyCommand {
    static let configuration = CommandConfiguration(
        commandName: "run",
        abstract: "Run a job, a family's member or a whole family to its end.",
        discussion: """
            tallyman run product_sync --dry-run
            tallyman run export-to-pg StatEvent
            tallyman run analytics --all --date 2026-11-20
            """
    )

    @OptionGroup var common: CommonOptions
    @OptionGroup var waiting: WaitOptions

    @Argument(help: "The job or family; `tallyman jobs` lists them.")
    var job: String

    @Argument(help: "Which member of the family, such as an export's key.")
    var member: String?

    @Flag(name: .long, help: "Every job of the family at once; one that fails does not stop the others.")
    var all = false

    @OptionGroup var choices: RunChoices

    func execute(_ console: Console) async throws -> ExitStatus {
        let graph = try Graph(try settings())
        let directory = JobDirectory(graph.jobs)
        let definition = member ?? choices.definition
        let chosen = all ? try directory.family(job) : [try directory.job(job, definition: definition)]
        let options = try choices.options(for: chosen)
        let runs = CommandRuns(
            graph: graph,
            jobs: chosen.map(\.name),
            options: options,
            waitSeconds: waiting.wait,
            console: console
        )
        let ended = try await runs.execute()
        guard all else { return RunReport.ended(try ended[0].outcome.get(), console) }
        return RunReport.ended(ended, console)
    }
}

/// Options of a run as the command line spells them.
struct RunChoices: ParsableArguments {
    @Flag(name: .long, help: "Compare or plan only; write nothing.")
    var dryRun = false

    @Option(name: .long, help: "Rows per batch, 1 to 100000.")
    var batchSize: Int?

    @Flag(name: .long, help: "Prove the result by a second full compare.")
    var verify = false

    @Flag(name: .long, help: "Read everything again, whatever the watermark says.")
    var full = false

    @Flag(name: .long, help: "Go through all windows from --start-date to --end-date.")
    var backfill = false

    @Option(name: .long, help: "One part of the job, such as sales.") var pipeline: String?
    @Option(name: .long, help: "One stage of the job, such as silver.") var stage: String?
    @Option(name: .long, help: "From this instant on (ISO 8601).") var since: String?
    @Option(name: .long, help: "Up to this instant (ISO 8601).") var until: String?
    @Option(name: .long, help: "One day, YYYY-MM-DD.") var date: String?
    @Option(name: .long, help: "First day, YYYY-MM-DD.") var startDate: String?
    @Option(name: .long, help: "Last day, YYYY-MM-DD.") var endDate: String?
    @Option(name: .long, help: "Days before today.") var daysBack: Int?
    @Option(name: .long, help: "Days a window of a backfill.") var batchDays: Int?
    @Option(name: .long, help: "Rebuild from files of this day on, YYYY-MM-DD.") var fromBronze: String?
    @Option(name: .long, help: "One account, shop or marketplace.") var account: String?
    @Option(name: .long, help: "Which member of the family.") var definition: String?

    func validate() throws {
        try Self.check(batchSize, in: RunOptionsBody.batchSizeRange, "--batch-size")
        try Self.check(daysBack, in: RunOptionsBody.daysBackRange, "--days-back")
        try Self.check(batchDays, in: RunOptionsBody.batchDaysRange, "--batch-days")
    }

    static func check(_ number: Int?, in range: ClosedRange<Int>, _ option: String) throws {
        if let number, !range.contains(number) {
            throw ValidationError("\(option) must be from \(range.lowerBound) to \(range.upperBound).")
        }
    }

    /// What was given; throws `.requestInvalid` for an option that one of the jobs does not know.
    func options(for jobs: [any Job]) throws -> RunOptions {
        var options = RunOptions(dryRun: dryRun, batchSize: batchSize, verify: verify ? true : nil)
        (options.pipeline, options.stage, options.account) = (pipeline, stage, account)
        (options.since, options.until, options.date) = (since, until, date)
        (options.startDate, options.endDate, options.fromBronze) = (startDate, endDate, fromBronze)
        (options.daysBack, options.batchDays) = (daysBack, batchDays)
        (options.full, options.backfill) = (full ? true : nil, backfill ? true : nil)
        for job in jobs {
            for name in options.given where !job.knownOptions.contains(name) {
                throw TallyError(
                    .requestInvalid,
                    during: "command.run",
                    "\(job.name) does not know the option \(name.rawValue)"
                )
            }
        }
        return options
    }
}
