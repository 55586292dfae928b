import ConfigFile
import Runtime
import Testing
import Yams

@Suite struct YAMLWalkTests {
    private enum Colour: String, CaseIterable { case red, green }

    private let walk = YAMLWalk(file: "shop.yaml", during: "test.file")

    /// The summary of the error that `body` must throw.
    private func refusal(_ yaml: String, _ body: (Node) throws -> Void) -> String? {
        do {
            let root = try walk.root(yaml)
            try body(#require(root))
            return nil
        } catch let error as TallyError {
            #expect(error.kind == .settingsInvalid)
            return error.summary
        } catch {
            return "\(error)"
        }
    }

    @Test func textThatIsNotYAMLIsRefusedWithItsLine() {
        #expect(refusal("a: 1\nb: [1, 2\nc: 3\n") { _ in } == "shop.yaml:3: not valid YAML")
    }

    @Test func anEmptyFileHasNoRoot() throws {
        #expect(try walk.root("# nothing\n") == nil)
    }

    @Test func unknownAndRepeatedKeysAreNamedWithTheirLine() {
        #expect(
            refusal("a: 1\nz: 2\n") { _ = try walk.members($0, allowed: ["a", "b"]) }
                == "shop.yaml:2: unknown key \"z\"; known: a, b"
        )
        let twice = refusal("a: 1\nb: 2\na: 3\n") { _ = try walk.members($0, allowed: ["a", "b"]) }
        #expect(twice?.hasPrefix("shop.yaml:") == true)
        #expect(refusal("- a\n") { _ = try walk.pairs($0) } == "shop.yaml:1: a mapping of names to values is expected")
    }

    @Test(arguments: [
        ("~", "x must be a non-empty text"), ("''", "x must be a non-empty text"),
        ("[1]", "x must be a non-empty text"),
    ])
    func textsAreNotEmpty(yaml: String, reason: String) {
        #expect(
            refusal("a:\n  b: \(yaml)\n") { root in
                let inner = try walk.members(walk.members(root, allowed: ["a"])["a"] ?? root, allowed: ["b"])
                _ = try walk.text(#require(inner["b"]), "x")
            } == "shop.yaml:2: \(reason)"
        )
    }

    @Test func aQuotedNullIsAText() throws {
        let root = try #require(try walk.root("'null'"))
        #expect(try walk.text(root, "x") == "null")
        #expect(!walk.isNull(root))
    }

    @Test func numbersChoicesAndSpansKeepTheirRange() {
        #expect(
            refusal("11") { _ = try walk.int($0, "n", in: 1...10) }
                == "shop.yaml:1: n must be a whole number from 1 to 10"
        )
        #expect(
            refusal("blue") { let _: Colour = try walk.choice($0, "c") } == "shop.yaml:1: c must be one of red, green"
        )
        #expect(refusal("maybe") { _ = try walk.bool($0, "b") } == "shop.yaml:1: b must be true or false")
        #expect(
            refusal("2d") { _ = try walk.span($0, "s", upTo: 86_400) }?.hasPrefix("shop.yaml:1: s must be a span")
                == true
        )
        #expect(refusal("1d") { _ = try walk.span($0, "s", upTo: 86_400) } == nil)
    }

    @Test(arguments: [
        ("90s", 90), ("15m", 900), ("15 min", 900), ("2h", 7_200), ("1d", 86_400), ("0s", 0),
    ])
    func spansAreRead(text: String, seconds: Int) {
        #expect(SpanText.seconds(text) == seconds)
    }

    @Test(arguments: ["", "5", "m", "-1m", "1.5h", "9223372036854775807d", "3661d", "1w"])
    func otherTextsAreNoSpans(text: String) {
        #expect(SpanText.seconds(text) == nil)
    }
}
