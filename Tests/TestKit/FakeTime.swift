package import Foundation

/// A wall clock of one process's own, by Debian's libfaketime; its monotonic clock and its timers stay true, as after
/// `settimeofday`.
package final class FakeTime: Sendable {
    private let file: String
    private let timers: String
    private let library: String

    /// Shows the true time until `set`. Throws when libfaketime or the toolchain's clang is not installed.
    package init() throws {
        let folders = (try? FileManager.default.contentsOfDirectory(atPath: "/usr/lib")) ?? []
        let paths = folders.sorted().map { "/usr/lib/\($0)/faketime/libfaketimeMT.so.1" }
        guard let found = paths.first(where: { FileManager.default.fileExists(atPath: $0) }) else {
            throw TestServiceMissing("libfaketime is not installed")
        }
        library = found
        file = FileManager.default.temporaryDirectory.appending(path: TestTag.fresh("clock")).path
        timers = file + ".so"
        try Self.compileTrueTimers(to: timers)
        try shift(by: 0)
    }

    deinit {
        for path in [file, timers] { try? FileManager.default.removeItem(atPath: path) }
    }

    /// What the process needs in its environment.
    package var environment: [String: String] {
        [
            "LD_PRELOAD": "\(timers) \(library)", "FAKETIME_TIMESTAMP_FILE": file, "FAKETIME_CACHE_DURATION": "1",
            "DONT_FAKE_MONOTONIC": "1", "FAKETIME_DONT_RESET": "1", "TZ": "UTC",
        ]
    }

    /// Sets its clock to the true time and so many seconds; the process sees it within a second.
    package func shift(by seconds: Int) throws {
        try "\(seconds < 0 ? "" : "+")\(seconds)\n".write(toFile: file, atomically: true, encoding: .utf8)
    }

    /// Sets its clock, which goes on from there.
    package func set(to instant: Date) throws {
        try shift(by: Int(instant.timeIntervalSinceNow.rounded()))
    }

    /// Writes a library that, loaded before libfaketime, hands `timerfd_settime` straight to the kernel.
    ///
    /// libfaketime takes every absolute timer for one of the wall clock and moves it; those of Dispatch are of the
    /// monotonic clock, and moved ones go off years late or at once.
    private static func compileTrueTimers(to path: String) throws {
        let source = path + ".c"
        defer { try? FileManager.default.removeItem(atPath: source) }
        try """
        #include <sys/syscall.h>
        #include <unistd.h>
        int timerfd_settime(int timer, int flags, const void *time, void *old) {
            return (int)syscall(SYS_timerfd_settime, timer, flags, time, old);
        }

        """.write(toFile: source, atomically: true, encoding: .utf8)
        let ended = try ChildProcess.run("clang", ["-shared", "-fPIC", "-O1", "-o", path, source])
        guard ended.exit == .code(0) else { throw TestServiceMissing("clang: \(ended.errorText)") }
    }
}
