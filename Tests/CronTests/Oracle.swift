import Cron
import Foundation
import TestKit
import Testing

/// What one of the two sides says to an `OracleCase`: epoch seconds as text, as `bin/lib/cron_oracle.py` writes them.
struct OracleAnswer {
    let next: Substring
    let previous: Substring
    /// croniter's `next`; nil where it was not asked.
    let second: Substring?

    init(line: Substring) throws {
        let columns = line.split(separator: "\t", omittingEmptySubsequences: false)
        try #require(columns.count == 3, "\(line)")
        next = columns[0]
        previous = columns[1]
        second = columns[2] == "-" ? nil : columns[2]
    }

    init(ours question: OracleCase, zone: TimeZone) throws {
        second = nil
        guard let expression = try Self.parse(question.expression) else {
            (next, previous) = ("never", "never")
            return
        }
        let start = Date(timeIntervalSince1970: Double(question.start))
        var fires: [String] = []
        var at = start
        while fires.count < OracleCase.fires, let fire = expression.next(after: at, in: zone) {
            fires.append("\(Int(fire.timeIntervalSince1970))")
            at = fire
        }
        next = fires.isEmpty ? "never" : Substring(fires.joined(separator: " "))
        let before = expression.previous(before: start, in: zone)
        previous = before.map { "\(Int($0.timeIntervalSince1970))" } ?? "never"
    }

    /// nil where the expression is refused because it has no date; any other refusal is an error of ours.
    private static func parse(_ text: String) throws -> CronExpression? {
        do {
            return try CronExpression(text)
        } catch {
            let dateless = error.reason.contains("never") || error.reason.contains("no such day")
            try #require(dateless, "\(text) is refused: \(error)")
            return nil
        }
    }
}

/// Two Python processes with half of the questions each.
final class Oracle {
    private let folder: URL
    private var workers: [ChildProcess] = []

    init(_ cases: [OracleCase], croniterEvery: Int) throws {
        folder = FileManager.default.temporaryDirectory.appending(path: TestTag.fresh("cron"))
        try FileManager.default.createDirectory(at: folder, withIntermediateDirectories: true)
        let python = try #require(CronOracleTests.environment["TEST_PYTHON"], "TEST_PYTHON is not set; run bin/test")
        let root = URL(filePath: #filePath).deletingLastPathComponent().appending(path: "../..").standardized
        let half = (cases.count + 1) / 2
        for (index, part) in [cases[..<half], cases[half...]].enumerated() {
            let file = folder.appending(path: "\(index)")
            try part.map(\.line).joined().write(to: file, atomically: false, encoding: .utf8)
            let program = root.appending(path: "bin/lib/cron_oracle.py").path
            workers.append(try ChildProcess(python, [program, file.path, "\(croniterEvery)"]))
        }
    }

    func answers() async throws -> [OracleAnswer] {
        var answers: [OracleAnswer] = []
        for worker in workers {
            let exit = try await worker.wait(within: .seconds(3_600))
            try #require(exit == .code(0), "\(worker.progress.value.errorText.suffix(2_000))")
            answers += try worker.progress.value.outputText.split(separator: "\n").map(OracleAnswer.init(line:))
        }
        return answers
    }

    func remove() { try? FileManager.default.removeItem(at: folder) }
}
