import Testing

@Suite struct DocumentTests {
    @Test func errorsListEveryKind() throws {
        let source = try #require(Project.text("Sources/Runtime/TallyError.swift"))
        let document = try #require(Project.text("docs/errors.md"))
        #expect(!DocumentRules.errorKinds(in: source).isEmpty)
        for problem in DocumentRules.errorProblems(document: document, source: source) { Issue.record("\(problem)") }
    }

    @Test func errorsListEveryProblem() throws {
        let source = try #require(Project.text("Sources/API/Answer/Problem.swift"))
        let document = try #require(Project.text("docs/errors.md"))
        for problem in DocumentRules.problemNameProblems(document: document, source: source) {
            Issue.record("\(problem)")
        }
        let short = "## Problem documents over HTTP\n| `not-found` | 404 | a | b |"
        #expect(
            DocumentRules.problemNameProblems(document: short, source: source).contains {
                $0 == "docs/errors.md lacks the problem job-unknown"
            }
        )
    }

    @Test func metricsListEveryName() throws {
        let document = try #require(Project.text("docs/metrics.md"))
        let used = DocumentRules.metricNames(Project.swiftFiles)
        for problem in DocumentRules.metricProblems(document: document, used: used) { Issue.record("\(problem)") }
    }

    @Test func invariantsListEveryNumber() throws {
        let document = try #require(Project.text("docs/invariants.md"))
        let cited = DocumentRules.citedInvariants(Project.swiftFiles.filter { $0.module != "ArchitectureTests" })
        for problem in DocumentRules.invariantProblems(document: document, cited: cited, exists: Project.exists) {
            Issue.record("\(problem)")
        }
    }

    @Test func decisionsAreDatedAndWhole() throws {
        for path in try Project.files(in: "docs/decisions") {
            #expect(
                path.wholeMatch(of: #/docs\/decisions\/\d{8}-[a-z0-9-]+\.md/#) != nil,
                "\(path): not YYYYMMDD-slug.md"
            )
            let text = try #require(Project.text(path))
            for part in ["## Context", "## Decision", "## Rejected", "## Consequences"] {
                #expect(text.contains("\n\(part)\n"), "\(path) lacks \(part)")
            }
        }
    }

    @Test func readmeNamesWhatIsThere() throws {
        let readme = try #require(Project.text("README.md"))
        for match in readme.matches(of: #/\]\(([^)#:]+)\)/#) {
            #expect(Project.exists(String(match.output.1)), "README.md links to \(match.output.1), which is not there")
        }
        for setting in try #require(Project.text(".env.example")).matches(of: #/(?m)^#?\s*([A-Z][A-Z0-9_]+)=/#) {
            #expect(readme.contains("`\(setting.output.1)`"), "README.md does not explain \(setting.output.1)")
        }
    }

    // Each checker must find what it is for.

    static let kinds = """
        enum Kind { case a = "first-kind"
            case b = "second-kind" }
        var disposition: Disposition { switch self {
            case .a: .retry
            case .c, .b:
                .halt
        } }
        """

    @Test func kindsAreReadFromTheCode() {
        #expect(DocumentRules.errorKinds(in: Self.kinds) == ["first-kind": "retry", "second-kind": "halt"])
    }

    @Test(arguments: [
        ("| `first-kind` | retry | a |\n| `second-kind` | halt | b |", [String]()),
        ("| `first-kind` | retry | a |", ["docs/errors.md lacks second-kind"]),
        (
            "| `first-kind` | halt | a |\n| `second-kind` | halt | b |",
            ["docs/errors.md says halt for first-kind; the code says retry"]
        ),
        (
            "| `first-kind` | retry |\n| `second-kind` | halt |\n| `third` | halt |",
            ["docs/errors.md names third, which is no kind"]
        ),
        (
            "| `first-kind` | retry |\n| `first-kind` | retry |\n| `second-kind` | halt |",
            ["first-kind stands twice in docs/errors.md"]
        ),
    ])
    func aDifferingErrorTableIsFound(document: String, problems: [String]) {
        #expect(DocumentRules.errorProblems(document: document, source: Self.kinds) == problems)
    }

    @Test func aDifferingMetricTableIsFound() {
        let file = SwiftFile(path: "Sources/A/A.swift", text: "Counter(label: \"etl_rows_total\") // \"etl\"\n")
        #expect(DocumentRules.metricNames([file]) == ["etl_rows_total"])
        #expect(
            DocumentRules.metricProblems(document: "| `etl_old_total` | counter |", used: ["etl_rows_total"]) == [
                "docs/metrics.md lacks etl_rows_total", "docs/metrics.md names etl_old_total, which no source does",
            ]
        )
    }

    @Test func aDifferingInvariantTableIsFound() {
        let rows = (1...10).map { "| `INV-\($0)` | `Sources/Gone.swift` |" }.joined(separator: "\n")
        #expect(
            DocumentRules.invariantProblems(document: rows, cited: [3, 12], exists: { _ in false }) == [
                "docs/invariants.md lists \(Array(1...10)), not 1 to 11 in order",
                "INV-12 is cited and not in docs/invariants.md",
                "docs/invariants.md names Sources/Gone.swift, which is not there",
            ]
        )
    }

    @Test func aBlockIsFoundBetweenItsMarkers() {
        let text = "x\n<!-- a -->\n```\none\ntwo\n```\n<!-- /a -->\ny"
        #expect(DocumentRules.block(of: text, between: "<!-- a -->", and: "<!-- /a -->") == "one\ntwo")
        #expect(DocumentRules.block(of: text, between: "<!-- b -->", and: "<!-- /b -->") == nil)
    }
}
