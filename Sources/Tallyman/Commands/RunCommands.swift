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

    @Option(
        name: .long,
        help: ArgumentHelp(
            "Carry out one shard of a run that processes share: i/n, i from 0 to n-1.",
            discussion: "The first comer cuts the products into n ranges; the last to be done ends the run."
        )
    )
    var shard: ShardChoice?

    @Option(name: .long, help: "With --shard: the run to open or to join, a UUID (default: the one under way).")
    var run: String?

    func validate() throws {
        try RunChoices.check(batchSize, in: RunOptionsBody.batchSizeRange, "--batch-size")
        if shard != nil, dryRun { throw ValidationError("--shard writes; `tallyman validate` compares.") }
        if run != nil, shard == nil { throw ValidationError("--run needs --shard.") }
        if let run, RunID(run) == nil { throw ValidationError("--run must be a UUID.") }
    }

    func execute(_ console: Console) async throws -> ExitStatus {
        let graph = try Graph(try settings())
        var options = RunOptions()
        options.dryRun = dryRun
        options.batchSize = batchSize
        options.verify = verify ? true : nil
        if let shard {
            return try await ShardCommandRun.ended(console) {
                try ShardCommandRun.make(
                    shard,
                    run: run.flatMap { RunID($0) },
                    of: graph,
                    options: options,
                    waitSeconds: waiting.wait,
                    console: console
                )
            }
        }
        let record = try await CommandRuns.one(
            ProductSyncFeature.job,
            of: graph,
            options: options,
            waitSeconds: waiting.wait,
            console: console
        )
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
        let record = try await CommandRuns.one(
            ProductSyncFeature.job,
            of: graph,
            options: options,
            waitSeconds: waiting.wait,
            console: console
        )
        let status = RunReport.validation(record, console)
        return exitCode && status == .done && !ValidationAnswer.isValid(record) ? .failed : status
    }
}
