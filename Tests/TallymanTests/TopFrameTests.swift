import API
import Foundation
import Runtime
import TestKit
import Testing

@testable import Tallyman

@Suite struct TopFrameTests {
    private static let now = Date(timeIntervalSince1970: 1_768_473_000)

    private static func job(_ changes: [String: JSONValue] = [:]) -> JSONValue {
        let plain: [String: JSONValue] = [
            "job": "product_sync", "active": .null, "lastRun": ["state": "succeeded"],
            "lastProved": ["finishedAt": .string(Timestamp.text(now.addingTimeInterval(-200)))],
            "drift": ["missing": 0, "stale": 0, "orphaned": 0], "lagSeconds": 201, "openDeadLetters": 0,
            "nextFire": .string(Timestamp.text(now.addingTimeInterval(90))), "isPaused": false, "isOverdue": false,
        ]
        return .object(plain.merging(changes, uniquingKeysWith: { $1 }))
    }

    private static func frame(_ jobs: [JSONValue], sentence: String = "Nothing is wrong.", coloured: Bool = false)
        -> TopFrame
    {
        TopFrame(
            overview: [
                "verdict": [
                    "level": "ok", "sentence": .string(sentence), "further": ["And more."], "proof": "command-tags",
                    "provedAt": .string(Timestamp.text(now.addingTimeInterval(-75))),
                ],
                "databases": [["name": "postgresql", "answers": true], ["name": "mongo", "answers": false]],
                "scheduler": ["enabled": true, "leader": "quay:7"], "jobs": .array(jobs),
            ],
            now: now,
            isColoured: coloured
        )
    }

    @Test func saysWhatTheConsoleSays() {
        #expect(
            Self.frame([Self.job()]).lines == [
                "✓ Nothing is wrong.  proved by command-tags, 1m 15s ago", "  And more.", "",
                "answering  ✓ postgresql  ✕ mongo", "scheduler  on, led by quay:7", "",
                "JOB           STATE      PROVED      NEXT       DRIFT  LAG     DEAD",
                "product_sync  succeeded  3m 20s ago  in 1m 30s  0/0/0  3m 21s  0   ",
            ]
        )
    }

    @Test func aRunMovesItsBar() {
        let lines = Self.frame([
            Self.job([
                "active": [
                    "state": "running", "dryRun": true,
                    "progress": [
                        "stage": "compare", "read": 30_000, "total": 60_000, "written": 12, "rowsPerSecond": 1500.5,
                        "etaSeconds": 20,
                    ],
                ]
            ])
        ]).lines
        let bar = String(repeating: "█", count: 12) + String(repeating: "░", count: 12)
        #expect(
            lines.contains(
                "▶ product_sync (dry run)  compare  [\(bar)]  30,000/60,000  written 12  1,500/s  ETA 20s"
            ),
            "\(lines)"
        )
    }

    /// Without the ledger no job's runs are known: that is not to say that there were none.
    @Test func whatCannotBeReadIsUnknownNotNever() throws {
        let job = Self.job(["lastRun": .null, "lastProved": .null, "lagSeconds": .null, "openDeadLetters": .null])
        func last(_ scheduler: JSONValue) throws -> String {
            let frame = TopFrame(overview: ["scheduler": scheduler, "jobs": [job]], now: Self.now)
            return try #require(frame.lines.last)
        }
        #expect(try last(["enabled": true]).contains("never"))
        #expect(
            try last(.null).split(separator: " ") == ["product_sync", "-", "?", "in", "1m", "30s", "0/0/0", "-", "?"]
        )
    }

    @Test func statusSaysOnlyOfALedScheduleWhenItFires() {
        func words(_ scheduler: JSONValue, next: JSONValue = .null) -> String {
            StatusCommand.scheduler(["scheduler": scheduler, "nextRun": next])
        }
        #expect(words(["enabled": false, "isRunning": false], next: "soon") == "off")
        #expect(words(["enabled": true, "isRunning": true], next: "soon") == "on, next soon")
        #expect(words(["enabled": true, "isRunning": true]) == "on, but the sync is paused or has no schedule")
        let leaderless = words(["enabled": true, "isRunning": false], next: "soon")
        #expect(leaderless == "on, but nobody leads it: nothing runs by itself")
    }

    @Test func nothingFromADatabaseMovesTheCursor() {
        let lines = Self.frame([Self.job(["job": "a\u{1B}[2Jb\u{202E}c\nd"])], sentence: "x\u{1B}]0;owned\u{7}y").lines
        let all = lines.joined()
        #expect(all.unicodeScalars.allSatisfy { $0.value >= 0x20 && $0 != "\u{202E}" })
        #expect(all.contains("x·]0;owned·y"))
        #expect(all.contains("a·[2Jb·c·d"))
    }

    @Test func colourIsForTerminalsOnly() {
        let bad = Self.job(["lastRun": ["state": "failed"]])
        #expect(!Self.frame([bad]).lines.joined().contains("\u{1B}"))
        let coloured = Self.frame([bad], coloured: true).lines
        #expect(coloured.contains { $0.hasPrefix("\u{1B}[31mproduct_sync") })
        #expect(coloured.first?.hasPrefix("\u{1B}[32m✓") == true)
    }

    @Test func aTerminalIsWrittenOverInPlace() {
        #expect(TopScreen.text(["a", "b"], over: [], isTerminal: false) == "a\nb\n\n")
        #expect(TopFrame.clipped("\u{1B}[31mabc\u{1B}[0m", to: 2) == "\u{1B}[31mab\u{1B}[0m")
        let one: JSONValue = ["timestamp": "a", "jobs": [["lagSeconds": 1, "job": "x"]]]
        let later: JSONValue = ["timestamp": "b", "jobs": [["lagSeconds": 9, "job": "x"]]]
        #expect(TopFrame.news(one) == TopFrame.news(later))
        #expect(TopFrame.news(one) != TopFrame.news(["jobs": [["job": "y"]]]))
        #expect(TopScreen.text(["a"], over: [], isTerminal: true) == "\u{1B}[2J\u{1B}[Ha\u{1B}[K\n\u{1B}[J")
        #expect(TopScreen.text(["c"], over: ["a", "b"], isTerminal: true) == "\u{1B}[Hc\u{1B}[K\n\u{1B}[J")
    }

    @Test func anAbsentDaemonIsSaid() throws {
        let ended = try TallymanBinary.run(["top", "--once", "--url", "http://127.0.0.1:1"])
        #expect(ended.exit == .code(1))
        #expect(ended.errorText.contains("source-unreachable"), "\(ended.errorText)")
        #expect(try TallymanBinary.run(["top", "--url", "ftp://x"]).exit == .code(2))
    }
}
