import Foundation
import TestKit
import Testing

/// A bulk result goes to disk and is read from there: its size does not show in memory (INV-8).
@Suite(.serialized) struct BulkMemoryTests {
    /// `TALLYMAN_LONG_TESTS=1` loads a result of more than 100 MB, as `bin/bench.d/marketplaces` does.
    private static let isLong = ProcessInfo.processInfo.environment["TALLYMAN_LONG_TESTS"] == "1"

    @Test(.enabled(if: FileManager.default.fileExists(atPath: "/proc/self/status"), "there is no /proc"))
    func theSizeOfABulkResultDoesNotShow() throws {
        let small = try Self.load(secondsPerOrder: 400_000)
        let large = try Self.load(secondsPerOrder: Self.isLong ? 260 : 9_000)
        #expect(small.lines > 50)
        #expect(large.lines > (Self.isLong ? 190_000 : 5_000))
        // Held as values, a hundredth of the long form's result would take more than this.
        #expect(large.peakKB - small.peakKB < 12_288, "\(small) \(large)")
    }

    private struct Load {
        let lines: Int
        let peakKB: Int
    }

    /// A first load of orders from the mock over HTTP, in a process of its own, and the most memory it ever had.
    private static func load(secondsPerOrder: Int) throws -> Load {
        let url = try TestPostgres.shared().freshDatabase()
        var environment = ["DATABASE_URL": url, "LOG_LEVEL": "error", "ACCOUNT_ID": "acme"]
        #expect(try TallymanBinary.run(["migrate", "up"], environment).exit == .code(0))
        let port = "\(try FreePort.find())"
        let mock = try TallymanBinary.start(
            ["mock-api", "--marketplaces", "--port", port, "--seconds-per-order", "\(secondsPerOrder)"],
            ["LOG_LEVEL": "error"]
        )
        defer { mock.signal(15) }
        try #require(mock.progress.waitBlocking(within: .seconds(60)) { $0.errorText.contains("serving") })
        environment["SHOPIFY_SHOP"] = "tally-demo"
        environment["SHOPIFY_ACCESS_TOKEN"] = "any"
        environment["SHOPIFY_API_URL"] = "http://127.0.0.1:\(port)"
        environment["PATH"] = ProcessInfo.processInfo.environment["PATH"]
        // The high-water mark can be read only while the process is there.
        let script = """
            "$@" >/dev/null & pid=$!
            while high=$(grep VmHWM /proc/$pid/status 2>/dev/null); do last=$high; sleep 0.02; done
            wait $pid && echo "$last"
            """
        let child = try ChildProcess(
            "bash",
            ["-c", script, "measured", TallymanBinary.path, "run", "shopify", "--pipeline", "sales"],
            environment: environment
        )
        child.closeInput()
        let ended = child.progress.waitBlocking(within: .seconds(isLong ? 1_800 : 300)) { $0.exit != nil }
        try #require(ended && child.progress.value.exit == .code(0), "\(child.progress.value.errorText)")
        let words = child.progress.value.outputText.split { $0.isWhitespace }
        let lines = try TestPostgres.shared().psql(url, "SELECT count(*) FROM marketplace.order_lines")
        return Load(
            lines: try #require(Int(lines.trimmingCharacters(in: .whitespacesAndNewlines))),
            peakKB: try #require(words.count == 3 ? Int(words[1]) : nil, "\(child.progress.value.outputText)")
        )
    }
}
