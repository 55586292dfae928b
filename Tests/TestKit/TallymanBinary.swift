import Foundation

/// The built `tallyman`, run as an operator runs it.
package enum TallymanBinary {
    /// It stands beside the test bundle.
    package static var path: String {
        URL(filePath: CommandLine.arguments[0]).deletingLastPathComponent().appending(path: "tallyman").path
    }

    /// A process that still runs; its environment is only what is given, and PATH.
    package static func start(_ arguments: [String], _ environment: [String: String] = [:]) throws -> ChildProcess {
        try ChildProcess(path, arguments, environment: whole(environment), directory: folder)
    }

    /// Runs it to its end.
    package static func run(_ arguments: [String], _ environment: [String: String] = [:]) throws
        -> ChildProcess
        .Progress
    {
        let child = try start(arguments, environment)
        child.closeInput()
        guard child.progress.waitBlocking(within: .seconds(180), until: { $0.exit != nil }) else {
            throw TestServiceMissing("tallyman did not end: \(child.progress.value.errorText)")
        }
        return child.progress.value
    }

    private static var folder: String { FileManager.default.temporaryDirectory.path }

    private static func whole(_ environment: [String: String]) -> [String: String] {
        var all = environment
        for name in ["PATH", "HOME", "LLVM_PROFILE_FILE"] where all[name] == nil {
            all[name] = ProcessInfo.processInfo.environment[name]
        }
        return all
    }
}
