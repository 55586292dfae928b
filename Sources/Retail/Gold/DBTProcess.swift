import Foundation
import Runtime
import Subprocess
import SystemPackage

/// Runs dbt as a child: its log line by line, ended when the task is cancelled.
struct DBTProcess: Sendable {
    let settings: GoldSettings
    let profile: DBTProfile
    let workspace: DBTWorkspace
    private let fence: Int64?

    /// Unpacks the project into a folder of its own, which the caller removes.
    ///
    /// With a fence, each model first looks whether it still stands, so that a dbt left behind cannot write any more.
    init(_ settings: GoldSettings, fence: Int64? = nil) throws {
        self.settings = settings
        self.fence = fence
        profile = try DBTProfile(settings.database)
        workspace = try DBTWorkspace(
            below: FileManager.default.temporaryDirectory.path,
            profilesFolder: settings.profilesFolder,
            profile: profile
        )
    }

    struct Ended: Sendable {
        /// nil when a signal ended it.
        let code: Int32?
        /// The last message of dbt about why it stopped; may name hosts and objects.
        let complaint: String?
    }

    /// One command, such as `["build", "--select", "path:models/core"]`. `onLine` hears each line of the log.
    ///
    /// Cancelling the task sends SIGINT, by which dbt cancels its queries, then SIGTERM, then SIGKILL, to the child's
    /// own process group.
    func run(_ command: [String], onLine: @Sendable (DBTLogLine) -> Void) async throws -> Ended {
        var options = PlatformOptions()
        options.processGroupID = 0
        options.teardownSequence = [
            .send(signal: .interrupt, toProcessGroup: true, allowedDurationToNextStep: .seconds(3)),
            .send(signal: .terminate, toProcessGroup: true, allowedDurationToNextStep: .seconds(2)),
        ]
        let executable: Executable =
            settings.executable.contains("/") ? .path(FilePath(settings.executable)) : .name(settings.executable)
        do {
            let result = try await Subprocess.run(
                executable,
                arguments: Arguments(arguments(command)),
                environment: environment,
                platformOptions: options,
                input: .none,
                output: .sequence,
                error: .string(limit: 1 << 16)
            ) { execution in
                var complaint: String?
                for try await line in execution.standardOutput.strings(bufferingPolicy: .maxLineLength(4 << 20)) {
                    guard let line = DBTLogLine(line) else { continue }
                    if line.level == "error" { complaint = line.message }
                    onLine(line)
                }
                return complaint
            }
            try Task.checkCancellation()
            var code: Int32?
            if case .exited(let status) = result.terminationStatus { code = status }
            return Ended(code: code, complaint: result.closureResult ?? result.standardError)
        } catch let error as SubprocessError where error.code == .executableNotFound {
            throw Self.missing
        }
    }

    static let missing = TallyError(
        .settingsInvalid,
        during: "retail.gold",
        "dbt is not installed",
        remedy: DBTDocumentation.installation
    )

    private func arguments(_ command: [String]) -> [String] {
        var arguments = [
            "--log-format", "json", "--log-level-file", "none", "--no-use-colors", "--no-send-anonymous-usage-stats",
            "--no-version-check",
        ]
        arguments += command
        arguments += ["--project-dir", workspace.project, "--profiles-dir", workspace.profilesFolder]
        if let fence { arguments += ["--vars", "{\"tallyman_fence\": \(fence)}"] }
        // `deps` knows no target.
        if command.first != "deps" { arguments += ["--target-path", workspace.target] }
        return arguments
    }

    /// Ours without our settings; the password is dbt's alone.
    private var environment: Environment {
        var changes: [Environment.Key: String?] = [:]
        for name in settings.hiddenVariables { changes[Environment.Key(stringLiteral: name)] = .some(nil) }
        changes[Environment.Key(stringLiteral: DBTProfile.passwordVariable)] = profile.password.expose { $0 }
        changes["PYTHONUTF8"] = "1"
        changes["DBT_LOG_PATH"] = workspace.folder + "/logs"
        return .inherit.updating(changes)
    }
}
