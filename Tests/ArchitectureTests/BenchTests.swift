import Foundation
import TestKit
import Testing

/// The tables that bin/bench writes.
@Suite struct BenchTests {
    private static let measure = Project.root.appending(path: "bin/lib/bench_measure.py").path
    private static let python = ProcessInfo.processInfo.environment["TEST_PYTHON"] ?? "python3"

    private func temporary(_ text: String) throws -> String {
        let file = FileManager.default.temporaryDirectory.appending(path: "tallyman-bench-\(UUID().uuidString)")
        try Data(text.utf8).write(to: file)
        return file.path
    }

    /// The ratio is the median of the rounds' own ratios (2, 3 and 4), not 3.3, the ratio of the medians.
    @Test func ratiosAreTakenWithinARound() throws {
        let file = try temporary(
            """
            {"work": "W", "who": "limit", "rows": 600, "yardstick": "limit", "note": "", "seconds": [1, 3, 10], \
            "cpu": [1, 1, 1], "rss": [5, 6, 7]}
            {"work": "W", "who": "ours", "rows": 600, "yardstick": "limit", "note": "", "seconds": [2, 12, 30], \
            "cpu": [0.5, 0.25, 1], "rss": [40, 64, 50]}
            {"work": "W", "who": "a peer", "rows": 600, "yardstick": null, "note": "cannot", "seconds": [], \
            "cpu": [], "rss": []}

            """
        )
        defer { try? FileManager.default.removeItem(atPath: file) }
        let ended = try ChildProcess.run(Self.python, [Self.measure, "table", file])
        #expect(ended.exit == .code(0), "\(ended.errorText)")
        #expect(
            ended.outputText == """
                **W**

                | × yardstick | Who | Seconds | Least to most | CPU seconds | Peak MiB | Rows/s |
                |---|---|---|---|---|---|---|
                | 1.00 | limit | 3.00 | 1.00 to 10.00 | 1.00 | 7 | 200 |
                | 3.00 | ours | 12.00 | 2.00 to 30.00 | 0.50 | 64 | 50 |
                |  | a peer (1) |  |  |  |  |  |

                (1) cannot

                """
        )
    }

    @Test func memoryAboveWhatIsPromisedFails() throws {
        let file = try temporary(
            """
            {"work": "First sync", "who": "**Tallyman**, batches of 100", "rows": 1, "seconds": [1], "rss": [60, 63.5]}
            {"work": "First sync", "who": "a peer", "rows": 1, "seconds": [1], "rss": [900]}
            {"work": "Documents of 16 MiB", "who": "**Tallyman**, first sync", "rows": 1, "seconds": [1], "rss": [200]}

            """
        )
        defer { try? FileManager.default.removeItem(atPath: file) }
        func limit(_ size: String) throws -> ChildProcess.Progress {
            try ChildProcess.run(Self.python, [Self.measure, "limit", file, "**Tallyman**", size, "Documents of"])
        }
        #expect(try limit("64").exit == .code(0))
        let above = try limit("62")
        #expect(above.exit == .code(1))
        #expect(above.errorText == "First sync, **Tallyman**, batches of 100: 63.5 MiB, at most 62 are promised\n")
    }

    /// Times longer than docs/reliability.md promises, and a promise that nothing measured, make bin/reliability fail.
    @Test func timesLongerThanPromisedAreNamed() throws {
        let rules = Project.root.appending(path: "bin/lib/promised.awk").path
        func late(_ lines: String) throws -> String {
            let file = try temporary(lines)
            defer { try? FileManager.default.removeItem(atPath: file) }
            return try ChildProcess.run("awk", ["-f", rules, file]).outputText
        }
        let well = "measured failover, leader killed = 1.4 s\nmeasured cancel, ownCode = 1.999 seconds\n"
        #expect(try late(well) == "")
        #expect(
            try late(well + "measured failover, leader frozen = 15.2 s\n").contains(
                "leader frozen = 15.2 s: at most 15"
            )
        )
        #expect(try late(well + "measured cancel, statement = 2.5 seconds\n").contains("at most 2 s"))
        #expect(try late("measured failover, leader killed = 1.4 s\n") == "nothing measured a cancel\n")
    }

    @Test func onlyTheChapterBetweenItsMarkersIsReplaced() throws {
        let before =
            "a\n<!-- bench sync -->\nold\n<!-- /bench sync -->\nb\n<!-- bench http -->\nkept\n<!-- /bench http -->\n"
        let file = try temporary(before)
        defer { try? FileManager.default.removeItem(atPath: file) }
        let put = try ChildProcess.run(
            "/bin/sh",
            ["-c", "echo new | '\(Self.python)' '\(Self.measure)' put '\(file)' sync"]
        )
        #expect(put.exit == .code(0), "\(put.errorText)")
        #expect(try String(contentsOfFile: file, encoding: .utf8) == before.replacing("old", with: "new"))
        let lost = try ChildProcess.run(
            "/bin/sh",
            ["-c", "echo new | '\(Self.python)' '\(Self.measure)' put '\(file)' retail"]
        )
        #expect(lost.exit != .code(0))
        #expect(try String(contentsOfFile: file, encoding: .utf8) == before.replacing("old", with: "new"))
    }

    /// bin/bench needs a place for each of its parts, and bin/check a count for each of its works.
    @Test func everyPartHasItsPlace() throws {
        let page = try #require(Project.text("docs/performance.md"))
        for part in ["sync", "exports", "marketplaces", "retail", "analytics", "http"] {
            #expect(page.contains("<!-- bench \(part) -->") && page.contains("<!-- /bench \(part) -->"), "\(part)")
        }
        let counts = try #require(Project.text("Benchmarks/HotPath/counts.txt"))
        for work in ["encode", "merge", "parse", "route"] { #expect(counts.contains("\n\(work) "), "\(work)") }
    }
}
