import Foundation
import TestKit
import Testing

/// The operator console in a real Chromium, against the built daemon, PostgreSQL and the MongoDB stand-in.
///
/// What happens in the browser is written in `Browser/console.py`, for Debian's Selenium; each scenario starts its own
/// daemon and has a database of its own. Needs the packages chromium, chromium-driver and python3-selenium.
@Suite(.serialized) struct ConsoleTests {
    static let scenarios = [
        "sync", "options", "documents", "schedule", "watermark", "letters", "unread", "tokens", "restart", "ledger",
        "markup", "tabs", "crowd", "keyboard", "paint", "screens", "readme",
    ]

    @Test(arguments: scenarios)
    func inABrowser(scenario: String) throws {
        let postgres = try TestPostgres.shared()
        let cart = try postgres.freshDatabase()
        defer { Self.drop(cart, postgres) }
        let ended = try Self.python([scenario], ["CART_DB_URL": cart])
        #expect(ended.exit == .code(0), "\(scenario): \(ended.outputText)\n\(ended.errorText)")
        for line in ended.outputText.split(separator: "\n") where line.hasPrefix("measured:") {
            // Timings are told, not judged: machines differ.
            FileHandle.standardError.write(Data("\(scenario): \(line)\n".utf8))
        }
    }

    @Test func everyScenarioIsRun() throws {
        let listed = try Self.python(["--list"], [:])
        #expect(listed.outputText.split(separator: "\n").map(String.init) == Self.scenarios, "\(listed.errorText)")
    }

    private static func python(_ arguments: [String], _ more: [String: String]) throws -> ChildProcess.Progress {
        var environment = ProcessInfo.processInfo.environment
        let built = URL(filePath: TallymanBinary.path).deletingLastPathComponent()
        environment["TALLYMAN_BINARY"] = TallymanBinary.path
        environment["MONGO_STAND_IN"] = built.appending(path: "MongoStandIn").path
        environment["PYTHONDONTWRITEBYTECODE"] = "1"
        environment["PYTHONUTF8"] = "1"
        environment.merge(more, uniquingKeysWith: { $1 })
        let script = URL(filePath: #filePath).deletingLastPathComponent().appending(path: "Browser/console.py").path
        // Debian's own Python is the one that sees Debian's Selenium.
        return try ChildProcess.run(
            "/usr/bin/python3",
            [script] + arguments,
            environment: environment,
            within: .seconds(420)
        )
    }

    private static func drop(_ cart: String, _ postgres: TestPostgres) {
        guard let slash = cart.range(of: "/", options: .backwards) else { return }
        let name = cart[slash.upperBound...].prefix { $0 != "?" }
        // A database that stays behind is no failure of the page.
        _ = try? postgres.psql(postgres.adminURL, "DROP DATABASE \(name) WITH (FORCE)")
    }
}
