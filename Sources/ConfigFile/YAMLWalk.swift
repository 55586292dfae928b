package import Runtime
package import Yams

/// Walks the nodes of a YAML file, which know their lines, and says exactly what does not belong.
///
/// Every error is `.settingsInvalid` and begins with `file:line`. Values are never repeated in errors, names are.
package struct YAMLWalk: Sendable {
    package let file: String
    private let step: StaticString

    /// `step` is the stage that errors name, such as `sync.mapping`.
    package init(file: String, during step: StaticString) {
        self.file = file
        self.step = step
    }

    /// The root node; nil for a file that holds nothing. Throws for text that is not YAML 1.1, with its line.
    package func root(_ yaml: String) throws -> Node? {
        do {
            return try Yams.compose(yaml: yaml)
        } catch let error as YamlError {
            var line = 1
            switch error {
            case .scanner(_, _, let mark, _), .parser(_, _, let mark, _), .composer(_, _, let mark, _):
                line = mark.line
            default: break
            }
            throw TallyError(
                .settingsInvalid,
                during: step,
                "\(file):\(line): not valid YAML",
                detail: "\(error)",
                cause: error
            )
        }
    }

    package func place(_ node: Node) -> FilePlace { FilePlace(file: file, line: node.mark?.line ?? 1) }

    package func error(_ node: Node, _ what: String) -> TallyError { error(place(node), what) }

    package func error(_ place: FilePlace, _ what: String) -> TallyError {
        TallyError(.settingsInvalid, during: step, "\(place): \(what)")
    }

    /// The values of a mapping by key. Throws for a key that is not `allowed` or stands twice.
    package func members(_ node: Node, allowed: [String]) throws -> [String: Node] {
        var result: [String: Node] = [:]
        for (key, value) in try pairs(node) {
            guard allowed.contains(key.text) else {
                throw error(key.place, "unknown key \"\(key.text)\"; known: \(allowed.joined(separator: ", "))")
            }
            result[key.text] = value
        }
        return result
    }

    /// The pairs of a mapping in their order. Throws for a key that stands twice.
    package func pairs(_ node: Node) throws -> [(key: Placed, value: Node)] {
        guard case .mapping(let mapping) = node else {
            throw error(node, "a mapping of names to values is expected")
        }
        var seen: Set<String> = []
        return try mapping.map { key, value in
            let name = try placed(key, "a name")
            guard seen.insert(name.text).inserted else { throw error(key, "\"\(name.text)\" stands twice") }
            return (name, value)
        }
    }

    package func list(_ node: Node, _ what: String) throws -> [Node] {
        guard case .sequence(let sequence) = node else { throw error(node, "\(what) must be a list") }
        return Array(sequence)
    }

    package func placed(_ node: Node, _ what: String) throws -> Placed {
        guard case .scalar(let scalar) = node, !scalar.string.isEmpty, !isNull(node) else {
            throw error(node, "\(what) must be a non-empty text")
        }
        return Placed(scalar.string, place(node))
    }

    package func text(_ node: Node, _ what: String) throws -> String { try placed(node, what).text }

    package func int(_ node: Node, _ what: String, in range: ClosedRange<Int>) throws -> Int {
        guard case .scalar(let scalar) = node, let number = Int(scalar.string), range.contains(number) else {
            throw error(node, "\(what) must be a whole number from \(range.lowerBound) to \(range.upperBound)")
        }
        return number
    }

    package func bool(_ node: Node, _ what: String) throws -> Bool {
        guard let value = node.bool else { throw error(node, "\(what) must be true or false") }
        return value
    }

    /// A span of time in seconds, written as `SpanText` says.
    package func span(_ node: Node, _ what: String, upTo ceiling: Int) throws -> Int {
        guard case .scalar(let scalar) = node, let seconds = SpanText.seconds(scalar.string), seconds <= ceiling else {
            throw error(node, "\(what) must be a span of time such as 30s, 15m, 2h or 1d, at most \(ceiling) s")
        }
        return seconds
    }

    package func choice<Value: RawRepresentable & CaseIterable>(_ node: Node, _ what: String) throws -> Value
    where Value.RawValue == String {
        guard let value = Value(rawValue: try text(node, what)) else {
            let known = Value.allCases.map(\.rawValue).joined(separator: ", ")
            throw error(node, "\(what) must be one of \(known)")
        }
        return value
    }

    /// Whether the node says nothing: an empty value, `~` or `null` without quotes.
    package func isNull(_ node: Node) -> Bool {
        guard case .scalar(let scalar) = node else { return false }
        return scalar.style == .plain && node.null != nil
    }
}
