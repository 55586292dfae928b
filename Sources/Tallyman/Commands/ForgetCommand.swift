import API
import Analytics
import ArgumentParser
import Engine
import Foundation
import Runtime

struct ForgetCommand: TallyCommand {
    static let configuration = CommandConfiguration(
        commandName: "forget",
        abstract: "Remove a person's rows from the warehouse and keep them away; the erasure is recorded.",
        discussion: """
            The person is named by the token in user_token. What is kept is the token's SHA-256, in analytics.erasures
            and in the ledger: enough to keep the person out of later runs, not enough to find anybody.
            """
    )

    @OptionGroup var common: CommonOptions
    @OptionGroup var waiting: WaitOptions

    @Option(name: .long, help: "The person's token, such as usr_1_…")
    var token: String

    @Flag(name: .long, help: "Count the rows only; remove nothing.")
    var dryRun = false

    func execute(_ console: Console) async throws -> ExitStatus {
        let account = try PersonErasure.account(ofToken: token)
        let graph = try Graph(try settings())
        var options = RunOptions()
        options.dryRun = dryRun
        options.account = account
        let record = try await CommandRuns.one(
            try JobDirectory(graph.jobs).job("pii_forget").name,
            of: graph,
            options: options,
            waitSeconds: waiting.wait,
            console: console
        )
        return RunReport.ended(record, console)
    }
}
