import Engine
import Foundation
import HTTPTypes
import Logging
import Runtime
import Telemetry
import Testing

@testable import API

@Suite struct ConsolePageTests {
    private static let files = ["/", "/console.css", "/console.js", "/console.svg"]

    @Test(arguments: files) func isOpenTaggedAndNotSentTwice(path: String) async throws {
        var daemon = Daemon()
        daemon.access = AccessSettings(keys: [Secret("a-key-that-is-long-enough-for-a-test")])
        let first = try await daemon.send(.get, path)
        #expect(first.status == 200)
        let tag = try #require(first.headers[.eTag])
        #expect(try await daemon.send(.get, path, headers: [.ifNoneMatch: tag]).status == 304)
        #expect(first.headers[.cacheControl] == "no-cache")
    }

    @Test func thePolicyAllowsThisOriginAndNothingInline() async throws {
        let policy = try #require(HTTPField.Name("Content-Security-Policy"))
        let sent = try #require(try await Daemon().send(.get, "/").headers[policy])
        #expect(sent.hasPrefix("default-src 'none'; script-src 'self'; style-src 'self'"))
        #expect(!sent.contains("unsafe") && !sent.contains("http") && !sent.contains("*"))
        #expect(sent.contains("require-trusted-types-for 'script'"))
    }

    @Test func nothingIsInlineAndNothingComesFromElsewhere() throws {
        let page = String(decoding: PackageResources.console_html, as: UTF8.self)
        for inline in ["<style", " style=", " onclick", " onload", "javascript:", "<script>"] {
            #expect(!page.contains(inline), "\(inline)")
        }
        let all = try Self.folder().map { try String(contentsOf: $0, encoding: .utf8) }.joined()
        for match in all.matches(of: /https?:\/\/[^"' >]+/) {
            #expect(match.output == "http://www.w3.org/2000/svg", "\(match.output)")
        }
        for sink in ["innerHTML", "outerHTML", "insertAdjacentHTML", "document.write", "eval(", "localStorage"] {
            #expect(!all.contains(sink), "\(sink)")
        }
    }

    /// The module is joined from its files: none is forgotten, and none is named that is not there.
    @Test func everyFileIsServed() throws {
        let scripts = try Self.folder().filter { $0.pathExtension == "js" }
        #expect(scripts.count == ConsolePage.scripts.count)
        let joined = ConsolePage.scripts.map { String(decoding: $0, as: UTF8.self) }.joined(separator: "\n")
        for file in scripts {
            #expect(joined.contains(try String(contentsOf: file, encoding: .utf8)), "\(file.lastPathComponent)")
        }
    }

    private static func folder() throws -> [URL] {
        let folder = URL(filePath: #filePath).deletingLastPathComponent().appending(path: "../../Sources/API/Console")
        return try FileManager.default.contentsOfDirectory(at: folder, includingPropertiesForKeys: nil)
    }
}

@Suite struct RunDetailRoutesTests {
    private static var daemon: Daemon {
        let daemon = Daemon()
        daemon.runs.willEnd(with: Fixture.record(.succeeded, dryRun: true))
        return daemon
    }

    @Test func aRunsLinesAreFoundByItsID() async throws {
        let logger = Logger(label: "test") { _ in RunLogHandler(SwiftLogNoOpLogHandler()) }
        logger.event(.warning, "tried again", [.runID: Fixture.id.description, .attempt: "1"])
        let answer = try await Self.daemon.send(.get, "/api/etl/runs/\(Fixture.id)/log")
        #expect(answer.status == 200)
        let line = try #require(answer.body["lines"]?.array?.last)
        #expect(line["message"] == "tried again")
        #expect(line["level"] == "warning")
        #expect(line["keys"] == ["attempt": "1"])
        #expect(try await Self.daemon.send(.get, "/api/etl/runs/nonsense/log").status == 404)
    }

    @Test func valuesAreShownToAdminsForAKeyInTheBody() async throws {
        var daemon = Self.daemon
        daemon.differences = [
            DifferenceReader(job: "product_sync") {
                ["key": .string($0), "verdict": "equal", "reason": .null, "columns": []]
            }
        ]
        let path = "/api/etl/runs/\(Fixture.id)/difference"
        let shown = try await daemon.postJSON(path, #"{"key": "<b>"}"#)
        #expect(shown.status == 200)
        #expect(shown.body["difference"]?["key"] == "<b>")
        for bad in ["", "[]", "{}", #"{"key": ""}"#, #"{"key": 1}"#, #"{"key": "a", "id": "b"}"#] {
            #expect(try await daemon.postJSON(path, bad).status == 400, "\(bad)")
        }
        #expect(try await daemon.postJSON("/api/etl/runs/nonsense/difference", #"{"key": "a"}"#).status == 404)
        #expect(try await Self.daemon.postJSON(path, #"{"key": "a"}"#).status == 503, "the job shows no values")
        #expect(RunDetailRoutes(ports: daemon.ports()).routes.last?.access == .admin)
    }
}
