package import Dispatch
package import Foundation
import Runtime

/// A program run as a child: its output is collected, it can be signalled, fed and waited for.
///
/// The child inherits no descriptor but its three, so that a socket of the test process ends when the test closes it.
/// A child that is still running when this object goes away is killed.
package final class ChildProcess: Sendable {
    package enum Exit: Sendable, Equatable {
        case code(Int32)
        case signal(Int32)
    }

    /// What is known of a child at one moment.
    package struct Progress: Sendable {
        package internal(set) var output: [UInt8] = []
        package internal(set) var errors: [UInt8] = []
        /// Set once it ended and everything it wrote is in `output` and `errors`.
        package internal(set) var exit: Exit?
        var reaped = false
        var inputOpen = true

        package var outputText: String { String(decoding: output, as: UTF8.self) }
        package var errorText: String { String(decoding: errors, as: UTF8.self) }
    }

    package let pid: pid_t
    package let progress = Watched(Progress())
    private let input: Int32

    /// Starts `executable` (a path, or a name looked up on `PATH`).
    ///
    /// - Parameter environment: the whole environment of the child; nil hands down our own.
    /// - Throws: `TestServiceMissing` when it cannot be started.
    package init(
        _ executable: String,
        _ arguments: [String] = [],
        environment: [String: String]? = nil,
        directory: String? = nil
    ) throws {
        let stdin = try PipeEnds()
        let stdout = try PipeEnds()
        let stderr = try PipeEnds()
        let spawned = Self.spawn(
            executable,
            arguments,
            environment ?? ProcessInfo.processInfo.environment,
            directory,
            [stdin.reading, stdout.writing, stderr.writing]
        )
        for descriptor in [stdin.reading, stdout.writing, stderr.writing] { close(descriptor) }
        input = stdin.writing
        guard case .success(let pid) = spawned else {
            for descriptor in [stdin.writing, stdout.reading, stderr.reading] { close(descriptor) }
            throw TestServiceMissing("\(executable) could not be started: \(spawned)")
        }
        self.pid = pid
        try Self.collect(pid, stdout.reading, stderr.reading, into: progress)
    }

    deinit {
        signal(SIGKILL)
        closeInput()
    }

    /// Sends a signal; nothing happens when the child has ended.
    package func signal(_ number: Int32) {
        progress.change { progress in
            // The pid is ours until it is reaped, which takes this same lock.
            if !progress.reaped { kill(pid, number) }
        }
    }

    /// Writes to the child's standard input. Blocks while its pipe is full.
    package func send(_ text: String) {
        let bytes = Array(text.utf8)
        progress.change { progress in
            if progress.inputOpen { Sockets.writeAll(input, bytes) }
        }
    }

    package func closeInput() {
        progress.change { progress in
            if progress.inputOpen { close(input) }
            progress.inputOpen = false
        }
    }

    /// Waits for its end. Throws `.deadlineExceeded` after `limit`; the child then still runs.
    @discardableResult
    package func wait(within limit: Duration = .seconds(60)) async throws -> Exit {
        try await progress.wait(within: limit) { $0.exit != nil }
        guard let exit = progress.value.exit else { throw TestServiceMissing("the child has no exit status") }
        return exit
    }

    /// Waits until standard output or standard error holds `text`, or the child has ended. Throws when it has ended
    /// without it, with what it said, and after `limit`.
    package func waitForText(_ text: String, within limit: Duration = .seconds(60)) async throws {
        let found: @Sendable (Progress) -> Bool = { $0.outputText.contains(text) || $0.errorText.contains(text) }
        try await progress.wait(within: limit) { found($0) || $0.exit != nil }
        let progress = progress.value
        guard found(progress) else {
            throw TestServiceMissing("ended (\(String(describing: progress.exit))) without it: \(progress.errorText)")
        }
    }

    /// Runs a program to its end on the calling thread.
    package static func run(
        _ executable: String,
        _ arguments: [String] = [],
        environment: [String: String]? = nil,
        within limit: DispatchTimeInterval = .seconds(120)
    ) throws -> Progress {
        let child = try ChildProcess(executable, arguments, environment: environment)
        child.closeInput()
        guard child.progress.waitBlocking(within: limit, until: { $0.exit != nil }) else {
            throw TestServiceMissing("\(executable) did not end")
        }
        return child.progress.value
    }
}

/// Both ends of a pipe.
struct PipeEnds {
    let reading: Int32
    let writing: Int32

    init() throws {
        var ends: [Int32] = [-1, -1]
        guard pipe(&ends) == 0 else { throw TestServiceMissing("no pipe: errno \(errno)") }
        reading = ends[0]
        writing = ends[1]
    }
}

extension ChildProcess {
    private enum Spawned {
        case success(pid_t)
        case failure(errno: Int32)
    }

    private static func spawn(
        _ executable: String,
        _ arguments: [String],
        _ environment: [String: String],
        _ directory: String?,
        _ standard: [Int32]
    ) -> Spawned {
        var actions = posix_spawn_file_actions_t()
        posix_spawn_file_actions_init(&actions)
        defer { posix_spawn_file_actions_destroy(&actions) }
        for (target, descriptor) in standard.enumerated() {
            posix_spawn_file_actions_adddup2(&actions, descriptor, Int32(target))
        }
        // Swift does not see accept4, pipe2 and closefrom, so nothing is trusted to close itself on exec; closing what
        // another thread closed meanwhile is no error here.
        for name in (try? FileManager.default.contentsOfDirectory(atPath: "/proc/self/fd")) ?? [] {
            guard let descriptor = Int32(name), descriptor > 2 else { continue }
            posix_spawn_file_actions_addclose(&actions, descriptor)
        }
        var attributes = posix_spawnattr_t()
        posix_spawnattr_init(&attributes)
        defer { posix_spawnattr_destroy(&attributes) }
        var signals = sigset_t()
        sigemptyset(&signals)
        posix_spawnattr_setsigmask(&attributes, &signals)
        for number in [SIGPIPE, SIGTERM, SIGINT, SIGHUP, SIGCHLD] { sigaddset(&signals, number) }
        posix_spawnattr_setsigdefault(&attributes, &signals)
        posix_spawnattr_setflags(&attributes, Int16(POSIX_SPAWN_SETSIGMASK | POSIX_SPAWN_SETSIGDEF))
        // `env` becomes the program: the pid stays.
        let command = (directory.map { ["env", "-C", $0] } ?? []) + [executable] + arguments
        var argv = command.map { strdup($0) } + [nil]
        var envp = environment.map { strdup("\($0.key)=\($0.value)") } + [nil]
        defer { for text in argv + envp { free(text) } }
        var pid: pid_t = 0
        let status = posix_spawnp(&pid, command[0], &actions, &attributes, &argv, &envp)
        return status == 0 ? .success(pid) : .failure(errno: status)
    }

    /// Two threads: one waits for the end, one reads. A grandchild may hold the pipes open, so the end of the child
    /// and not that of its output decides; what is in the pipes by then is still read.
    private static func collect(
        _ pid: pid_t,
        _ output: Int32,
        _ errors: Int32,
        into progress: Watched<Progress>
    ) throws {
        let ended = try PipeEnds()
        let status = Watched<Int32?>(nil)
        Thread.detachNewThread {
            var raw = siginfo_t()
            while waitid(P_PID, id_t(pid), &raw, Int32(WEXITED | WNOWAIT)) == -1, errno == EINTR {}
            progress.change { progress in
                var code: Int32 = 0
                while waitpid(pid, &code, 0) == -1, errno == EINTR {}
                progress.reaped = true
                status.change { $0 = code }
            }
            close(ended.writing)
        }
        Thread.detachNewThread {
            var open: [Int32] = [output, errors]
            var running = true
            while running {
                var polled = (open + [ended.reading]).map { pollfd(fd: $0, events: Int16(POLLIN), revents: 0) }
                guard poll(&polled, nfds_t(polled.count), -1) >= 0 || errno == EINTR else { break }
                running = polled.last?.revents == 0
                for descriptor in open where !read(descriptor, output, whileAvailable: !running, progress) {
                    open.removeAll { $0 == descriptor }
                }
            }
            for descriptor in [output, errors, ended.reading] { close(descriptor) }
            progress.change { $0.exit = status.value.map(Self.exit) }
        }
    }

    /// Reads what is there without waiting; false at the end of the stream.
    private static func read(
        _ descriptor: Int32,
        _ output: Int32,
        whileAvailable: Bool,
        _ progress: Watched<Progress>
    ) -> Bool {
        var buffer = [UInt8](repeating: 0, count: 65_536)
        repeat {
            var polled = pollfd(fd: descriptor, events: Int16(POLLIN), revents: 0)
            guard poll(&polled, 1, 0) > 0 else { return true }
            let count = Glibc.read(descriptor, &buffer, buffer.count)
            guard count > 0 else { return count < 0 && errno == EINTR }
            progress.change { progress in
                if descriptor == output {
                    progress.output += buffer[..<count]
                } else {
                    progress.errors += buffer[..<count]
                }
            }
        } while whileAvailable
        return true
    }

    private static func exit(_ status: Int32) -> Exit {
        let signal = status & 0x7F
        return signal == 0 ? .code((status >> 8) & 0xFF) : .signal(signal)
    }
}
