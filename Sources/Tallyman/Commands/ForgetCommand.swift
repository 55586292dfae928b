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
            and in the ledger: enough to keep the person out of later runs, not enough to find anybody. The exit
            status is 4 when no row has the token: mistyped, of another key, or forgotten before.
            """
    )

    @OptionGroup var common: CommonOptions
    @OptionGroup var waiting: WaitOptions

    @Option(name: .long, help: "The person's token, such as usr_1_…")
    var token: String

    @Flag(name: .long, help: "Count the rows only; remove nothing.")
    var dryRun = false

    func execute(_ console: Console) async throws -> ExitStatus {
        let settings = try settings()
        let feature = settings.features.lazy.compactMap { $0 as? AnalyticsFeature }.first
        let account = try PersonErasure.account(ofToken: token, settings: feature?.analytics)
        let graph = try Graph(settings)
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
        let status = RunReport.ended(record, console)
        let rows = record.summary?["counts"]?[dryRun ? "rowsFound" : "rowsRemoved"]?.int
        guard status == .done, rows == 0 else { return status }
        console.note(
            dryRun
                ? "Nobody: no row of the warehouse has this token."
                : "Nobody: no row of the warehouse has this token. It is recorded: no later run will write one."
        )
        return .nobody
    }
}
