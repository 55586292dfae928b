import Foundation
import HTTPWire
import TestKit
import Testing

/// Our parser beside an independent one, h11 of PyPI, on the same bytes.
///
/// What h11 refuses, we refuse. What both take, they read alike. Where we are stricter, the reason is in the list; a
/// reason the run never met is a failure too, so the list cannot outlive what it explains.
@Suite struct DifferentialTests {
    /// Our refusals of what h11 takes, by the start of their words.
    private static let stricter: [(reason: String, why: String)] = [
        ("a line ends in a bare LF", "RFC 9112 §2.2 allows either; two readers must not differ on where a line ends"),
        ("a folded header field is refused", "RFC 9112 §5.2 asks for 400 or for a space; the former is no guess"),
        ("a header field holds a control character", "RFC 9110 §5.5 calls them invalid"),
        ("Content-Length must be one whole number", "RFC 9110 §8.6 allows to refuse a repeated one"),
        ("the request line is too long", "a limit of ours"),
        ("too many header fields", "a limit of ours"),
        ("Transfer-Encoding beside Content-Length or in HTTP/1.0", "RFC 9112 §6.1, §6.3: likely smuggling"),
        ("only HTTP/1.1 and HTTP/1.0 are spoken", "h11 reads any digits; we know two versions"),
        ("this server is no proxy", "CONNECT has nothing to connect to"),
        ("only the expectation 100-continue is known", "RFC 9110 §10.1.1 allows 417"),
        ("Host is malformed", "RFC 9112 §3.2 demands 400; h11 does not look inside"),
        ("the request target is malformed", "h11 does not look inside a target; the rest of this list is the same"),
        ("the request target has no valid host", "RFC 9110 §4.2.1, §4.2.4"),
        ("the request target holds a character", "a fragment is not sent (RFC 9112 §3.2)"),
        ("the request target is not UTF-8", "routes are text"),
        ("dot segments and encoded slashes are refused", "no path may mean another one"),
        ("a percent sign is not followed by two hex digits", "RFC 3986 §2.1"),
        ("a chunk line holds a control character", "RFC 9112 §7.1.1: an extension is made of tokens and quoted text"),
        ("a bare CR stands in a chunk line", "the same"),
        ("a chunk line ends in a bare LF", "as in a head"),
    ]

    static let environment = ProcessInfo.processInfo.environment
    static let canCompare = environment["TEST_PYTHON"] != nil || environment["CI"] != nil

    @Test(.enabled(if: canCompare, "TEST_PYTHON names no Python with h11; bin/test sets it"))
    func weReadWhatAnIndependentParserReads() throws {
        let seed = SeededGenerator.seeds(1).first ?? 1
        var generator = RequestGenerator(seed: seed)
        let samples = (0..<8_000).map { _ in generator.next() }
        let answers = try Self.answers(samples.map { hex($0.bytes) })
        try #require(answers.count == samples.count)
        var met: Set<String> = []
        var taken = 0
        for (number, (sample, theirs)) in zip(samples, answers).enumerated() {
            let ours = ParsedRequest([sample.bytes])
            if case .request = ours { taken += 1 }
            let problem = Self.difference(sample, ours, theirs, &met)
            if let problem {
                Issue.record(
                    "TEST_SEED=\(seed), request \(number): \(problem)\n\(hex(sample.bytes))\n\(ours)\n\(theirs)"
                )
            }
        }
        #expect(taken > 2_500, "TEST_SEED=\(seed): only \(taken) requests were taken")
        if Self.environment["TEST_SEED"] == nil {
            for entry in Self.stricter where !met.contains(entry.reason) {
                Issue.record("nothing met: \(entry.reason) (\(entry.why))")
            }
        }
    }

    private static func difference(
        _ sample: RequestGenerator.Sample,
        _ ours: ParsedRequest,
        _ theirs: String,
        _ met: inout Set<String>
    ) -> String? {
        switch (ours, theirs) {
        case (.refused(let failure), _) where sample.isPlain: return "a valid request is refused: \(failure.reason)"
        case (.refused, "refused"), (.more, "more"), (.refused, "more"): return nil
        case (_, "refused"):
            // RFC 9112 §2.2: an empty line before a request is passed over. h11 refuses it.
            if sample.bytes.first == 13 { return nil }
            return "h11 refuses it"
        case (.refused(let failure), _):
            guard let entry = stricter.first(where: { failure.reason.hasPrefix($0.reason) }) else {
                return "refused without a reason in the list: \(failure.reason)"
            }
            met.insert(entry.reason)
            return nil
        case (.more, _): return "we wait for more, h11 does not"
        case (_, "more"): return "h11 waits for more, we do not"
        case (.request(let method, let target, let version, let fields, let body, let rest), _):
            let parts = theirs.split(separator: " ").map { $0 == "-" ? "" : String($0) }
            let text = parts.prefix(3).map { String(decoding: bytes(hex: $0), as: UTF8.self) }
            let theirFields = parts[3].split(separator: ",").map { field in
                let sides = field.split(separator: ":", omittingEmptySubsequences: false)
                return String(decoding: bytes(hex: sides[0]), as: UTF8.self) + ":" + sides[1]
            }
            if text != [method, target, version] { return "the request line differs" }
            if theirFields != fields { return "fields differ: \(fields), \(theirFields)" }
            if parts[4] != hex(body) { return "bodies differ" }
            return parts[5] == hex(rest) ? nil : "what follows differs"
        }
    }

    private static func answers(_ requests: [String]) throws -> [String] {
        let python = try #require(environment["TEST_PYTHON"], "TEST_PYTHON is not set; run bin/test")
        let script = URL(filePath: #filePath).deletingLastPathComponent().deletingLastPathComponent()
            .deletingLastPathComponent().appending(path: "bin/lib/h11_answers.py")
        let child = try ChildProcess(python, [script.path])
        child.send(requests.joined(separator: "\n") + "\n")
        child.closeInput()
        #expect(child.progress.waitBlocking { $0.exit != nil })
        let progress = child.progress.value
        try #require(progress.exit == .code(0), "\(progress.errorText)")
        return progress.outputText.split(separator: "\n").map(String.init)
    }

    /// Property: how the bytes are cut into reads never changes the answer, whatever the bytes.
    @Test(arguments: SeededGenerator.seeds(40))
    func cuttingIsInvisible(seed: UInt64) {
        var generator = RequestGenerator(seed: seed)
        for _ in 0..<50 {
            let sample = generator.next().bytes
            let (first, second) = (generator.cut(sample.count), generator.cut(sample.count))
            let (low, high) = (min(first, second), max(first, second))
            let pieces = [Array(sample[..<low]), Array(sample[low..<high]), Array(sample[high...])]
            #expect(ParsedRequest([sample]) == ParsedRequest(pieces), "TEST_SEED=\(seed): \(hex(sample))")
            #expect(ParsedRequest([sample]) == ParsedRequest(sample.map { [$0] }), "TEST_SEED=\(seed): \(hex(sample))")
        }
    }
}
