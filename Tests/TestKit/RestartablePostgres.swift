import Foundation

/// A PostgreSQL of one test's own, to be stopped, killed and started again. Costs about two seconds to make.
package final class RestartablePostgres: Sendable {
    package let url: String
    package let port: Int
    private let folder: String
    private let binaries: String

    /// `fsync` stays on: what a crash may lose is the question here.
    package init() throws {
        port = try Sockets.freePort()
        url = "postgresql://postgres@127.0.0.1:\(port)/postgres"
        let found = try ChildProcess.run("sh", ["-c", "ls -d /usr/lib/postgresql/*/bin | sort -V | tail -n 1"])
        binaries = found.outputText.trimmingCharacters(in: .whitespacesAndNewlines)
        let made = try ChildProcess.run("mktemp", ["-d"])
        folder = made.outputText.trimmingCharacters(in: .whitespacesAndNewlines)
        if getuid() == 0 { _ = try ChildProcess.run("chown", ["postgres", folder]) }
        try shell("\(binaries)/initdb -D \(folder)/data -U postgres -A trust -E UTF8 --locale=C.UTF-8 >\(folder)/log")
        try start()
    }

    /// A streaming replica of another one, read-only until it is promoted.
    package init(replicaOf primary: RestartablePostgres) throws {
        port = try Sockets.freePort()
        url = "postgresql://postgres@127.0.0.1:\(port)/postgres"
        binaries = primary.binaries
        let made = try ChildProcess.run("mktemp", ["-d"])
        folder = made.outputText.trimmingCharacters(in: .whitespacesAndNewlines)
        if getuid() == 0 { _ = try ChildProcess.run("chown", ["postgres", folder]) }
        try shell(
            "\(binaries)/pg_basebackup -h 127.0.0.1 -p \(primary.port) -U postgres -D \(folder)/data -R -X stream "
                + "--checkpoint=fast >\(folder)/log 2>&1"
        )
        try start()
    }

    /// Makes a primary of a replica; it writes when this returns.
    package func promote() throws { try shell("\(binaries)/pg_ctl -D \(folder)/data -w promote >/dev/null") }

    deinit {
        try? shell("\(binaries)/pg_ctl -D \(folder)/data -m immediate stop >/dev/null 2>&1")
        try? FileManager.default.removeItem(atPath: folder)
    }

    package func start() throws {
        let options = "-p \(port) -c listen_addresses=127.0.0.1 -c unix_socket_directories= -c max_connections=100"
        try shell(
            "\(binaries)/pg_ctl -D \(folder)/data -l \(folder)/log -w -t 60 -o '\(options)' start "
                + ">/dev/null 2>&1 </dev/null"
        )
    }

    /// As a crash: nothing is flushed, recovery follows at the next start.
    package func kill() throws { try shell("\(binaries)/pg_ctl -D \(folder)/data -m immediate -w stop >/dev/null") }

    package func crashAndRestart() throws {
        try kill()
        try start()
    }

    private func shell(_ command: String) throws {
        let ended =
            getuid() == 0
            ? try ChildProcess.run("runuser", ["-u", "postgres", "--", "sh", "-c", "cd / && \(command)"])
            : try ChildProcess.run("sh", ["-c", "cd / && \(command)"])
        guard ended.exit == .code(0) else { throw TestServiceMissing("\(command): \(ended.errorText)") }
    }
}
