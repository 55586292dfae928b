import Foundation

/// What the documents say, compared with what the code says.
enum DocumentRules {
    /// The text of the first fenced block between two markers, without the fence.
    static func block(of text: String, between start: String, and end: String) -> String? {
        guard let from = text.firstRange(of: start) else { return nil }
        let rest = text[from.upperBound...]
        guard let to = rest.firstRange(of: end) else { return nil }
        let inside = rest[..<to.lowerBound].split(separator: "\n")
        return inside.filter { !$0.hasPrefix("```") }.joined(separator: "\n")
    }

    /// The first cell of every table row that is a `name` in backquotes, with the other cells of the row.
    static func tableRows(_ text: String) -> [(name: String, cells: [String])] {
        text.split(separator: "\n").compactMap { line in
            guard line.hasPrefix("| `") else { return nil }
            let cells = line.split(separator: "|").map { $0.trimmed }
            guard let first = cells.first?.split(separator: "`").first else { return nil }
            return (String(first), Array(cells.dropFirst()))
        }
    }

    /// Kinds of error by their written name, each with what the code does about it.
    static func errorKinds(in source: String) -> [String: String] {
        let dispositions = source.split(separator: "var disposition", maxSplits: 1).last.map(String.init) ?? ""
        var byCase: [String: String] = [:]
        for match in dispositions.matches(of: #/case\s+((?:\.\w+[,\s]*)+):\s*(?:return\s+)?\.(\w+)/#) {
            for name in match.output.1.matches(of: #/\.(\w+)/#) {
                byCase[String(name.output.1)] = String(match.output.2)
            }
        }
        let kinds = source.matches(of: #/case (\w+) = "([a-z-]+)"/#)
        return Dictionary(
            kinds.map { (String($0.output.2), byCase[String($0.output.1)] ?? "nothing") },
            uniquingKeysWith: { first, _ in first }
        )
    }

    static func errorProblems(document: String, source: String) -> [String] {
        let rows = tableRows(section(document, after: nil))
        let documented = Dictionary(
            rows.map { ($0.name, $0.cells.first ?? "") },
            uniquingKeysWith: { first, _ in first }
        )
        let kinds = errorKinds(in: source)
        return repeated(rows.map(\.name)).map { "\($0) stands twice in docs/errors.md" }
            + kinds.keys.filter { documented[$0] == nil }.sorted().map { "docs/errors.md lacks \($0)" }
            + documented.keys.filter { kinds[$0] == nil }.sorted().map {
                "docs/errors.md names \($0), which is no kind"
            }
            + kinds.filter { documented[$0.key] != nil && documented[$0.key] != $0.value }
            .map { "docs/errors.md says \(documented[$0.key] ?? "") for \($0.key); the code says \($0.value)" }.sorted()
    }

    /// The names of problem documents in the second table are those of `Problem.Name`, no more and no fewer.
    static func problemNameProblems(document: String, source: String) -> [String] {
        let names = Set(source.matches(of: #/case \w+ = "([a-z-]+)"/#).map { String($0.output.1) })
        let rows = tableRows(section(document, after: problemsHeading)).map(\.name)
        return repeated(rows).map { "\($0) stands twice among the problems of docs/errors.md" }
            + names.subtracting(rows).sorted().map { "docs/errors.md lacks the problem \($0)" }
            + Set(rows).subtracting(names).sorted().map { "docs/errors.md names \($0), which is no problem" }
    }

    private static let problemsHeading = "## Problem documents over HTTP"

    /// What stands before the heading of the problems (nil), or after it.
    private static func section(_ document: String, after heading: String?) -> String {
        let parts = document.components(separatedBy: problemsHeading)
        return heading == nil ? parts[0] : parts.dropFirst().joined()
    }

    /// Names of metrics written in the sources.
    static func metricNames(_ files: [SwiftFile]) -> Set<String> {
        Set(
            files.filter(\.isSource).flatMap { file in
                file.text.matches(
                    of: #/"((?:etl|http|process|tallyman_metric)_[a-z0-9_]*[a-z])"/#
                )
                .map { String($0.output.1) }
            }
        )
    }

    static func metricProblems(document: String, used: Set<String>) -> [String] {
        let rows = tableRows(document).map(\.name)
        return repeated(rows).map { "\($0) stands twice in docs/metrics.md" }
            + used.subtracting(rows).sorted().map { "docs/metrics.md lacks \($0)" }
            + Set(rows).subtracting(used).sorted().map { "docs/metrics.md names \($0), which no source does" }
    }

    /// Invariants are numbered without a gap, those the sources cite exist, and every file a row names is there.
    static func invariantProblems(document: String, cited: Set<Int>, exists: (String) -> Bool) -> [String] {
        let numbers = tableRows(document).compactMap { $0.name.hasPrefix("INV-") ? Int($0.name.dropFirst(4)) : nil }
        let paths = document.matches(of: #/`((?:Sources|Tests|docs|bin)\/[\w\/+.-]+)`/#).map { String($0.output.1) }
        let expected = Array(1...max(11, numbers.max() ?? 0))
        return (numbers == expected ? [] : ["docs/invariants.md lists \(numbers), not 1 to \(expected.count) in order"])
            + cited.subtracting(numbers).sorted().map { "INV-\($0) is cited and not in docs/invariants.md" }
            + Set(paths).filter { !exists($0) }.sorted().map { "docs/invariants.md names \($0), which is not there" }
    }

    static func citedInvariants(_ files: [SwiftFile]) -> Set<Int> {
        Set(files.flatMap { $0.text.matches(of: #/INV-(\d+)/#).compactMap { Int($0.output.1) } })
    }

    /// What a Dockerfile of this house must and must not do.
    static func dockerfileProblems(_ text: String) -> [String] {
        let joined = text.replacing("\\\n", with: " ")
        let lines = joined.split(separator: "\n").map { $0.trimmed }.filter { !$0.hasPrefix("#") }
        let stages = lines.filter { $0.hasPrefix("FROM ") }
        let parts = lines.joined(separator: "\n").components(separatedBy: "FROM ").dropFirst().map { "FROM " + $0 }
        let plain = parts.count > 1 ? parts[1] : ""
        let users = parts.dropFirst().prefix(2).map { part in
            part.matches(of: #/(?m)^USER (\S+)/#).last.map { String($0.output.1) } ?? "root"
        }
        let checks: [(Bool, String)] = [
            (stages.count == 4, "there are \(stages.count) stages, not four"),
            (stages.first?.hasPrefix("FROM swift:6.3-bookworm") == true, "the builder is not swift:6.3-bookworm"),
            (plain.hasPrefix("FROM debian:bookworm-slim AS plain"), "the runtime is not debian:bookworm-slim"),
            (stages.suffix(2) == ["FROM plain AS dbt", "FROM plain"], "dbt is not the second target, or not the last"),
            (users.allSatisfy { !$0.hasPrefix("0") && !$0.hasPrefix("root") }, "it runs as root"),
            (joined.contains("--static-swift-stdlib"), "the Swift runtime is not linked in"),
            (plain.firstMatch(of: #/[a-z0-9]-dev(?:\s|$)/#) == nil, "the runtime stage installs development packages"),
            (
                ["libpq5", "libmongoc-1.0-0", "libbson-1.0-0", "ca-certificates"].allSatisfy(plain.contains),
                "the runtime stage lacks a library"
            ),
            (plain.contains("ENTRYPOINT [\"/"), "there is no ENTRYPOINT in exec form"),
            (
                joined.firstMatch(of: #/(?m)^(?:ENV|ARG) .*(?:JWT_KEY|PASSWORD|_URL|TOKEN|SECRET)/#) == nil,
                "a credential is named in ENV or ARG"
            ),
        ]
        return checks.filter { !$0.0 }.map { "Dockerfile: \($0.1)" }
    }

    private static func repeated(_ names: [String]) -> [String] {
        Dictionary(grouping: names, by: { $0 }).filter { $0.value.count > 1 }.keys.sorted()
    }
}

extension Substring {
    fileprivate var trimmed: String {
        var text = self
        while text.first?.isWhitespace == true { text.removeFirst() }
        while text.last?.isWhitespace == true { text.removeLast() }
        return String(text)
    }
}
