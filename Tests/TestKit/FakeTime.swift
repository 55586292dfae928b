package import Foundation

/// A wall clock of one process's own, by Debian's libfaketime; its monotonic clock stays true, as after `settimeofday`.
package final class FakeTime: Sendable {
    private let file: String
    private let library: String

    /// Shows the true time until `set`. Throws when libfaketime is not installed.
    package init() throws {
        let folders = (try? FileManager.default.contentsOfDirectory(atPath: "/usr/lib")) ?? []
        let paths = folders.sorted().map { "/usr/lib/\($0)/faketime/libfaketimeMT.so.1" }
        guard let found = paths.first(where: { FileManager.default.fileExists(atPath: $0) }) else {
            throw TestServiceMissing("libfaketime is not installed")
        }
        library = found
        file = FileManager.default.temporaryDirectory.appending(path: TestTag.fresh("clock")).path
        try shift(by: 0)
    }

    deinit { try? FileManager.default.removeItem(atPath: file) }

    /// What the process needs in its environment.
    package var environment: [String: String] {
        [
            "LD_PRELOAD": library, "FAKETIME_TIMESTAMP_FILE": file, "FAKETIME_CACHE_DURATION": "1",
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
}
