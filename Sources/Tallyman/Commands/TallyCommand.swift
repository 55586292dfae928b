import ArgumentParser
import CLibC
import Engine
import Foundation
import Logging
import Runtime
import Telemetry

/// Options that every command takes.
struct CommonOptions: ParsableArguments {
    @Flag(name: .long, help: "Print exactly one JSON object on standard output; logs go to standard error.")
    var json = false

    @Flag(name: .long, help: "Log what happens on standard error.")
    var verbose = false
}

/// A command that ends with one of our exit statuses.
protocol TallyCommand: AsyncParsableCommand {
    var common: CommonOptions { get }
    func execute(_ console: Console) async throws -> ExitStatus
}

extension TallyCommand {
    mutating func run() async throws {
        let console = Console(isJSON: common.json)
        let status: ExitStatus
        do {
            status = try await execute(console)
        } catch {
            status = console.fail(error)
        }
        throw ExitCode(status.rawValue)
    }

    /// Reads all settings and starts logging: warnings only unless asked for more.
    func settings(serving: Bool = false) throws -> Settings {
        var reader = try SettingsReader.process()
        let log = Settings.readLog(&reader)
        ProcessSetup.startLogging(log, level: serving || log.isLevelChosen || common.verbose ? log.level : .warning)
        var whole = try SettingsReader.process()
        return try Settings.read(&whole)
    }
}

/// What is set once for the whole process.
enum ProcessSetup {
    static let version = "0.1.0"

    /// A peer that hangs up must be an error of one write, never the end of the process.
    static func ignoreBrokenPipes() {
        signal(SIGPIPE, SIG_IGN)
    }

    /// Keeps the heap small without asking the kernel for each page of a sync: two arenas for all threads instead of
    /// eight a core, buffers of a mebibyte and more straight from the kernel, and two free ones kept.
    ///
    /// What it is worth stands in docs/hot-path.md.
    /// [mallopt(3)](https://man7.org/linux/man-pages/man3/mallopt.3.html)
    static func keepHeapSmall() {
        mallopt(M_ARENA_MAX, 2)
        mallopt(M_MMAP_THRESHOLD, 1 << 20)
        mallopt(M_TRIM_THRESHOLD, 1 << 21)
    }

    /// What stands behind the program's name.
    ///
    /// Swift finds the arguments beside the environment and sees none when a preloaded library has moved that
    /// (libfaketime does); the kernel still knows them.
    static var arguments: [String] {
        let known = CommandLine.arguments
        if !known.isEmpty { return Array(known.dropFirst()) }
        guard let bytes = FileManager.default.contents(atPath: "/proc/self/cmdline") else { return [] }
        return bytes.split(separator: 0, omittingEmptySubsequences: false).dropFirst().dropLast()
            .map { String(decoding: $0, as: UTF8.self) }
    }

    static func startLogging(_ log: Settings.Log, level: Logger.Level) {
        LoggingSystem.bootstrap { label in
            RunLogHandler(LineLogHandler(label: label, format: log.format, level: level))
        }
        MetricsRegistry.install()
    }

    /// Who holds a lease: host and process, so that an operator finds it.
    static var holder: String {
        "\(ProcessInfo.processInfo.hostName):\(ProcessInfo.processInfo.processIdentifier)"
    }
}
