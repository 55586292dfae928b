import ArgumentParser
import Foundation
import Runtime

@main
struct Root: AsyncParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "tallyman",
        abstract: "Keeps a shop's databases in step, and signs only for what it saw.",
        discussion: """
            Exit codes: 0 done, 1 failed, 2 bad usage or settings, 3 done but for dead letters,
            4 forget: nobody has the token, 75 busy.
            Settings come from the environment and from .env in the working directory; .env.example lists them.
            """,
        version: ProcessSetup.version,
        subcommands: [
            ServeCommand.self, SyncCommand.self, ValidateCommand.self, StatusCommand.self, TopCommand.self,
            RunsCommand.self, JobsCommand.self, RunCommand.self, DeadLettersCommand.self, WatermarksCommand.self,
            MigrateCommand.self, DoctorCommand.self, TokenCommand.self, CronCommand.self, ImportCommand.self,
            MockAPICommand.self, DocsCommand.self, ForgetCommand.self,
        ]
    )

    static func main() async {
        ProcessSetup.keepHeapSmall()
        ProcessSetup.ignoreBrokenPipes()
        let arguments = ProcessSetup.arguments
        do {
            var command = try parseAsRoot(arguments)
            if var asynchronous = command as? any AsyncParsableCommand {
                try await asynchronous.run()
            } else {
                try command.run()
            }
            Foundation.exit(ExitStatus.done.rawValue)
        } catch let code as ExitCode {
            Foundation.exit(code.rawValue)
        } catch {
            end(with: error, arguments: arguments)
        }
    }

    /// Help and version are no failure; everything else the parser throws is bad usage.
    private static func end(with error: any Error, arguments: [String]) -> Never {
        let message = fullMessage(for: error)
        guard exitCode(for: error).isSuccess else {
            let console = Console(isJSON: arguments.contains("--json"))
            console.answer([
                "success": false, "message": .string(Self.message(for: error)), "error": ["kind": "usage"],
            ])
            console.note(message)
            Foundation.exit(ExitStatus.usage.rawValue)
        }
        Console.write(message + "\n", to: .standardOutput)
        Foundation.exit(ExitStatus.done.rawValue)
    }
}
