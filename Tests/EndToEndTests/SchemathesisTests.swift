import Foundation
import TestKit
import Testing

/// Requests made from the OpenAPI document, by a program that is not ours, against the real daemon.
///
/// `bin/test` sets TEST_PYTHON; where CI is set and it is not, that is a failure and no skip.
@Suite(.serialized) struct SchemathesisTests {
    private static let environment = ProcessInfo.processInfo.environment
    static let isThere = environment["TEST_PYTHON"] != nil || environment["CI"] != nil

    @Test(
        .enabled(if: isThere, "TEST_PYTHON names no Python with schemathesis; bin/test sets it"),
        arguments: [true, false]
    )
    func nothingBreaksTheContract(hasToken: Bool) async throws {
        let python = try #require(Self.environment["TEST_PYTHON"], "TEST_PYTHON is not set; run bin/test")
        let shop = try Shop(products: 20)
        let daemon = try await RunningDaemon(shop.settings())
        let script = URL(filePath: #filePath).deletingLastPathComponent()
            .appending(path: "../../bin/lib/schemathesis_run.py").standardizedFileURL.path
        var arguments = [script, "http://127.0.0.1:\(daemon.port)"]
        if hasToken { arguments += ["--token", try await RunningDaemon.token()] }
        if Self.environment["TALLYMAN_LONG_TESTS"] != nil { arguments += ["--examples", "200"] }
        let ended = try ChildProcess.run(python, arguments, within: .seconds(900))
        #expect(ended.exit == .code(0), "\(ended.outputText.suffix(6_000))\n\(ended.errorText.suffix(2_000))")
        #expect(ended.outputText.contains("operations asked: "))
        #expect(daemon.process.progress.value.exit == nil, "it still runs")
        #expect(!daemon.log.contains("\"request failed\""), "an error of ours was logged")
        try await daemon.stop()
    }
}
