import Foundation

/// A construct the house does without, found by its text in code (not in comments or strings).
struct BannedConstruct {
    let name: String
    /// Text that stands wherever `pattern` matches; a quick look before the slow one.
    let hint: String
    let pattern: Regex<Substring>
    /// True where the rule also binds the tests.
    let inTests: Bool
    /// Folders it belongs to, if any.
    var homes: [String] = []
    let instead: String
}

/// A place where a banned construct is right, and why.
struct Exemption {
    let path: String
    let construct: String
    let why: String
}

enum SourceRules {
    static let lineCeiling = 500
    static let columnCeiling = 120

    nonisolated(unsafe) static let banned: [BannedConstruct] = [
        BannedConstruct(
            name: "try!",
            hint: "try!",
            pattern: #/\btry!/#,
            inTests: true,
            instead: "throw, or #require in a test"
        ),
        BannedConstruct(
            name: "fatalError",
            hint: "fatalError",
            pattern: #/\bfatalError\s*\(/#,
            inTests: true,
            instead: "throw a TallyError"
        ),
        BannedConstruct(
            name: "Task.detached",
            hint: "Task",
            pattern: #/\bTask\s*(?:<[^>]*>)?\s*\.\s*(?:detached|immediate\w*|init)\b/#,
            inTests: true,
            instead: "use a child task"
        ),
        BannedConstruct(
            name: "Task {",
            hint: "Task",
            pattern: #/\bTask\s*(?:<[^>]*>)?\s*[({]/#,
            inTests: false,
            instead: "use a child task, or a Service"
        ),
        BannedConstruct(
            name: "print",
            hint: "(",
            pattern: #/(?:^|[^.\w])(?:debugPrint|print|dump)\s*\(/#,
            inTests: false,
            instead: "log an event; answers of the command line go through its own output"
        ),
        BannedConstruct(
            name: "environment",
            hint: "env",
            pattern: #/\bprocessInfo\s*\.\s*environment\b|\bgetenv\s*\(/#,
            inTests: false,
            homes: ["Sources/Tallyman/"],
            instead: "take a setting as a value"
        ),
    ]

    /// The list of R4 and its like: each entry is needed, or the test says that it is not.
    static let exemptions: [Exemption] = [
        Exemption(
            path: "Sources/Engine/CancelSignal.swift",
            construct: "Task {",
            why: "the end of a run is written also while its task is being cancelled; the new task is awaited in place"
        )
    ]

    static func tooLong(_ files: [SwiftFile]) -> [String] {
        files.filter { $0.lines.count > lineCeiling }
            .map { "\($0.path): \($0.lines.count) lines; \(lineCeiling) is the ceiling" }
    }

    static func tooWide(_ files: [SwiftFile]) -> [String] {
        files.flatMap { file in
            file.lines.enumerated().filter { $0.element.count > columnCeiling }
                .map { "\(file.path):\($0.offset + 1): \($0.element.count) columns; \(columnCeiling) is the ceiling" }
        }
    }

    /// Banned constructs outside the exemptions, and exemptions nobody needs any more.
    static func bannedConstructs(_ files: [SwiftFile], exemptions: [Exemption] = exemptions) -> [String] {
        var unused = Set(exemptions.map { "\($0.path) \($0.construct)" })
        var found: [String] = []
        for file in files {
            for rule in banned where (file.isSource || rule.inTests) && file.text.range(of: rule.hint) != nil {
                if rule.homes.contains(where: file.path.hasPrefix) { continue }
                for (index, line) in file.code.enumerated() where matches(rule, line) {
                    let place = "\(file.path) \(rule.name)"
                    if exemptions.contains(where: { "\($0.path) \($0.construct)" == place }) {
                        unused.remove(place)
                    } else {
                        found.append("\(file.path):\(index + 1): \(rule.name); \(rule.instead)")
                    }
                }
            }
        }
        return found + unused.sorted().map { "\($0): this exemption is not needed" }
    }

    private static func matches(_ rule: BannedConstruct, _ line: Substring) -> Bool {
        guard line.range(of: rule.hint) != nil else { return false }
        // Unicode's own word boundaries see one word in `a.b`.
        guard (try? rule.pattern.wordBoundaryKind(.simple).firstMatch(in: line)) != nil else { return false }
        // A declaration of, or about, the name is no use of it.
        return
            (try? #/\b(?:extension|struct|class|enum|actor|protocol|func)\s+(?:Task|print|dump)\b/#
            .wordBoundaryKind(.simple).firstMatch(in: line)) == nil
    }

    static let bannedWords: Set<String> = [
        "Manager", "Helper", "Helpers", "Util", "Utils", "Utility", "Utilities", "Common", "Misc", "Extensions",
    ]
    static let bannedFirstWords: Set<String> = ["New", "Old"]

    /// Files and folders whose name says nothing.
    static func bannedNames(_ paths: [String]) -> [String] {
        paths.flatMap { path in
            path.split(separator: "/").flatMap { component -> [String] in
                let words = words(of: String(component.prefix { $0 != "." }))
                let bad = words.filter(bannedWords.contains) + words.prefix(1).filter(bannedFirstWords.contains)
                return bad.map { "\(path): a name with \($0) says nothing; name what it does" }
            }
        }
    }

    /// `HTTPUtilsPool+Old` → `HTTP`, `Utils`, `Pool`, `Old`.
    static func words(of name: String) -> [String] {
        name.matches(of: #/[A-Z]+(?![a-z])|[A-Z]?[a-z0-9]+|[A-Z]/#).map { String($0.output).capitalizedFirst }
    }

    /// Types with the name of their module, which then cannot be qualified by it.
    static func typesNamedLikeTheirModule(_ files: [SwiftFile]) -> [String] {
        files.filter(\.isSource).flatMap { file in
            file.code.enumerated().filter { _, line in
                guard line.range(of: file.module) != nil else { return false }
                let declared = try? #/\b(?:struct|class|enum|actor|protocol|typealias)\s+(\w+)/#
                    .wordBoundaryKind(.simple).firstMatch(in: line)
                return declared.map { String($0.output.1) == file.module } ?? false
            }
            .map { "\(file.path):\($0.offset + 1): a type named like its module \(file.module)" }
        }
    }
}

extension String {
    fileprivate var capitalizedFirst: String { prefix(1).uppercased() + dropFirst() }
}
