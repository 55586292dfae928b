import API
import ArgumentParser
import Engine
import Foundation
import Runtime

/// How long a command waits for a job's lease.
struct WaitOptions: ParsableArguments {
    @Option(name: .long, help: "Seconds to wait while another run is going; then exit 75.")
    var wait = 10

    func validate() throws {
        guard (0...86_400).contains(wait) else { throw ValidationError("--wait must be from 0 to 86400.") }
    }
}

struct SyncCommand: TallyCommand {
    static let configuration = CommandConfiguration(
        commandName: "sync",
        abstract: "Compare the products with the cart's table and repair the difference."
    )

    @OptionGroup var common: CommonOptions
    @OptionGroup var waiting: WaitOptions

    @Flag(name: .long, help: "Compare only; write nothing.")
    var dryRun = false

    @Option(name: .long, help: "Products per batch, 1 to 100000 (default: SYNC_BATCH_SIZE).")
    var batchSize: Int?

    @Flag(name: .long, help: "Compare everything once more at the end.")
    var verify = false

    func validate() throws { try RunCommand.check(batchSize) }

    func execute(_ console: Console) async throws -> ExitStatus {
        let graph = try Graph(try settings())
        var options = RunOptions()
        options.dryRun = dryRun
        options.batchSize = batchSize
        options.verify = verify ? true : nil
        let record = try await OneRun(
            graph: graph,
            job: Graph.productSync,
            options: options,
            waitSeconds: waiting.wait,
            console: console
        ).execute()
        return RunReport.ended(record, console)
    }
}

struct ValidateCommand: TallyCommand {
    static let configuration = CommandConfiguration(
        commandName: "validate",
        abstract: "Compare both databases and say what differs; write nothing."
    )

    @OptionGroup var common: CommonOptions
    @OptionGroup var waiting: WaitOptions

    @Flag(name: .long, help: "Exit with 1 when the databases differ.")
    var exitCode = false

    func execute(_ console: Console) async throws -> ExitStatus {
        let graph = try Graph(try settings())
        var options = RunOptions()
        options.dryRun = true
        let record = try await OneRun(
            graph: graph,
            job: Graph.productSync,
            options: options,
            waitSeconds: waiting.wait,
            console: console
        ).execute()
        let status = RunReport.validation(record, console)
        return exitCode && status == .done && !ValidationAnswer.isValid(record) ? .failed : status
    }
}

struct RunCommand: TallyCommand {
    static let configuration = CommandConfiguration(commandName: "run", abstract: "Run a job by its name to its end.")

    @OptionGroup var common: CommonOptions
    @OptionGroup var waiting: WaitOptions

    @Argument(help: "The job; `tallyman jobs` lists them.")
    var job: String

    @Flag(name: .long, help: "Compare or plan only; write nothing.")
    var dryRun = false

    @Option(name: .long, help: "Rows per batch, 1 to 100000.")
    var batchSize: Int?

    @Flag(name: .long, help: "Prove the result by a second full compare.")
    var verify = false

    @Option(name: .long) var pipeline: String?
    @Option(name: .long) var stage: String?
    @Option(name: .long) var since: String?
    @Option(name: .long) var until: String?
    @Option(name: .long) var date: String?
    @Option(name: .long) var startDate: String?
    @Option(name: .long) var endDate: String?
    @Option(name: .long) var definition: String?

    func validate() throws { try Self.check(batchSize) }

    static func check(_ batchSize: Int?) throws {
        let range = RunOptionsBody.batchSizeRange
        if let batchSize, !range.contains(batchSize) {
            throw ValidationError("--batch-size must be from \(range.lowerBound) to \(range.upperBound).")
        }
    }

    func execute(_ console: Console) async throws -> ExitStatus {
        let graph = try Graph(try settings())
        // The old names had dashes.
        let wanted = [job, job.replacing("-", with: "_")]
        guard let known = graph.jobs.first(where: { wanted.contains($0.name.rawValue) }) else {
            let names = graph.jobs.map(\.name.rawValue).joined(separator: ", ")
            throw TallyError(.requestInvalid, during: "command.run", "there is no such job", remedy: "Known: \(names).")
        }
        let record = try await OneRun(
            graph: graph,
            job: known.name,
            options: try options(for: known),
            waitSeconds: waiting.wait,
            console: console
        ).execute()
        return RunReport.ended(record, console)
    }

    private func options(for job: any Job) throws -> RunOptions {
        var options = RunOptions()
        options.dryRun = dryRun
        options.batchSize = batchSize
        options.verify = verify ? true : nil
        (options.pipeline, options.stage, options.definition) = (pipeline, stage, definition)
        (options.since, options.until, options.date) = (since, until, date)
        (options.startDate, options.endDate) = (startDate, endDate)
        let given: [(RunOptionName, Bool)] = [
            (.dryRun, dryRun), (.batchSize, batchSize != nil), (.verify, verify), (.pipeline, pipeline != nil),
            (.stage, stage != nil), (.since, since != nil), (.until, until != nil), (.date, date != nil),
            (.startDate, startDate != nil), (.endDate, endDate != nil), (.definition, definition != nil),
        ]
        for (name, isGiven) in given where isGiven && !job.knownOptions.contains(name) {
            throw TallyError(
                .requestInvalid,
                during: "command.run",
                "this job does not know the option \(name.rawValue)"
            )
        }
        return options
    }
}
