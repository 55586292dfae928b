import Runtime
import Yams

/// Walks YAML nodes, which know their lines, and says exactly what does not belong.
struct YAMLWalk {
    let file: String

    /// The root node. Throws `.settingsInvalid` for text that is not YAML.
    func root(_ yaml: String) throws -> Node? {
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
                during: "export.definitions",
                "\(file):\(line): not valid YAML",
                detail: "\(error)",
                cause: error
            )
        }
    }

    func place(_ node: Node) -> FilePlace { FilePlace(file: file, line: node.mark?.line ?? 1) }

    func error(_ node: Node, _ what: String) -> TallyError {
        TallyError(.settingsInvalid, during: "export.definitions", "\(place(node)): \(what)")
    }

    /// The values of a mapping by key. Throws for a key that is unknown or stands twice.
    func members(_ node: Node, allowed: [String]) throws -> [String: Node] {
        var result: [String: Node] = [:]
        for (key, value) in try pairs(node) {
            guard allowed.contains(key.text) else {
                throw TallyError(
                    .settingsInvalid,
                    during: "export.definitions",
                    "\(key.place): unknown key \"\(key.text)\"; known: \(allowed.joined(separator: ", "))"
                )
            }
            result[key.text] = value
        }
        return result
    }

    /// The pairs of a mapping in their order. Throws for a key that stands twice.
    func pairs(_ node: Node) throws -> [(key: Placed, value: Node)] {
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

    func list(_ node: Node, _ what: String) throws -> [Node] {
        guard case .sequence(let sequence) = node else { throw error(node, "\(what) must be a list") }
        return Array(sequence)
    }

    func placed(_ node: Node, _ what: String) throws -> Placed {
        guard case .scalar(let scalar) = node, !scalar.string.isEmpty, node.null == nil || scalar.style != .plain else {
            throw error(node, "\(what) must be a non-empty text")
        }
        return Placed(scalar.string, place(node))
    }

    func text(_ node: Node, _ what: String) throws -> String { try placed(node, what).text }

    func int(_ node: Node, _ what: String, in range: ClosedRange<Int>) throws -> Int {
        guard case .scalar(let scalar) = node, let number = Int(scalar.string), range.contains(number) else {
            throw error(node, "\(what) must be a whole number from \(range.lowerBound) to \(range.upperBound)")
        }
        return number
    }

    func choice<Value: RawRepresentable & CaseIterable>(_ node: Node, _ what: String) throws -> Value
    where Value.RawValue == String {
        guard let value = Value(rawValue: try text(node, what)) else {
            let known = Value.allCases.map(\.rawValue).joined(separator: ", ")
            throw error(node, "\(what) must be one of \(known)")
        }
        return value
    }
}

/// A span of time as definitions write it: `90s`, `15m`, `15 min`, `2h`, `1d`.
enum SpanText {
    static func seconds(_ text: String) -> Int? {
        let parts = text.replacing(" ", with: "")
        let digits = parts.prefix { $0.isASCII && $0.isNumber }
        guard let number = Int(digits), number >= 0 else { return nil }
        let unit: Int
        switch parts.dropFirst(digits.count) {
        case "s", "sec", "seconds": unit = 1
        case "m", "min", "minutes": unit = 60
        case "h", "hours": unit = 3_600
        case "d", "days": unit = 86_400
        default: return nil
        }
        let (seconds, overflow) = number.multipliedReportingOverflow(by: unit)
        return overflow || seconds > 3_660 * 86_400 ? nil : seconds
    }
}
