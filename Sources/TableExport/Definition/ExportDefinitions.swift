import ConfigFile
import Foundation
import Runtime
import Yams

/// The table exports of a configuration folder.
package enum ExportDefinitions {
    /// Every definition of the folder's `exports*.yaml` files and of its `exports/` folder, in the order of the files.
    ///
    /// None when there is no such file. Throws `.settingsInvalid` with file and line for what does not belong, and for
    /// a key that stands in two places.
    package static func read(folder: String, transforms: Set<String>) throws -> [ExportDefinition] {
        var all: [ExportDefinition] = []
        for path in try files(folder) {
            guard let text = try? String(contentsOfFile: path, encoding: .utf8) else {
                throw TallyError(.settingsInvalid, during: "export.definitions", "\(path) cannot be read as UTF-8 text")
            }
            all += try parse(text, file: path, transforms: transforms)
        }
        return try unique(all)
    }

    /// The definitions of one file's text; `file` is only named in errors.
    package static func parse(
        _ yaml: String,
        file: String,
        transforms: Set<String> = []
    ) throws -> [ExportDefinition] {
        let walk = YAMLWalk(file: file, during: "export.definitions")
        guard let root = try walk.root(yaml) else { return [] }
        let top = try walk.members(root, allowed: ["exports"])
        guard let list = top["exports"] else { throw walk.error(root, "\"exports\" is missing") }
        let reader = DefinitionReader(walk: walk, transforms: transforms)
        return try unique(try walk.list(list, "\"exports\"").map(reader.definition))
    }

    private static func files(_ folder: String) throws -> [String] {
        let inside = try names(folder)
        let deeper = try names(folder + "/exports")
        func isYAML(_ name: String) -> Bool { name.hasSuffix(".yaml") || name.hasSuffix(".yml") }
        return inside.filter { $0.hasPrefix("exports") && isYAML($0) }.sorted().map { "\(folder)/\($0)" }
            + deeper.filter(isYAML).sorted().map { "\(folder)/exports/\($0)" }
    }

    /// None when there is no such folder; one that cannot be read is a failure, not an empty one.
    private static func names(_ folder: String) throws -> [String] {
        do {
            return try FileManager.default.contentsOfDirectory(atPath: folder)
        } catch let error as CocoaError where error.code == .fileReadNoSuchFile {
            return []
        } catch {
            throw TallyError(
                .settingsInvalid,
                during: "export.definitions",
                "the folder \(folder) cannot be read",
                remedy: "Let CONFIG_DIR name a folder that the daemon may read.",
                cause: error
            )
        }
    }

    private static func unique(_ definitions: [ExportDefinition]) throws -> [ExportDefinition] {
        var first: [String: FilePlace] = [:]
        for one in definitions {
            if let other = first[one.key] {
                throw TallyError(
                    .settingsInvalid,
                    during: "export.definitions",
                    "\(one.place): the key \"\(one.key)\" stands in \(other) too"
                )
            }
            first[one.key] = one.place
        }
        return definitions
    }
}

/// Reads one definition from its node.
private struct DefinitionReader {
    let walk: YAMLWalk
    let transforms: Set<String>

    static let keys = [
        "key", "batchSize", "source", "destination", "transform", "onError", "lookback", "drift", "deletes",
        "deletesEvery", "deletesMaxPercent", "schedule",
    ]

    func definition(_ node: Node) throws -> ExportDefinition {
        let top = try walk.members(node, allowed: Self.keys)
        let key = try walk.placed(try required("key", top, node), "\"key\"")
        guard key.text.allSatisfy({ $0.isASCII && ($0.isLetter || $0.isNumber || $0 == "_" || $0 == "-") }) else {
            throw walk.error(node, "\"key\" may have letters, digits, _ and - only")
        }
        let source = try source(try required("source", top, node))
        return ExportDefinition(
            key: key.text,
            place: key.place,
            batchSize: try top["batchSize"].map {
                try walk.int($0, "\"batchSize\"", in: ExportDefinition.batchRange)
            },
            source: source,
            destination: try destination(try required("destination", top, node)),
            transform: try top["transform"].map { try transform($0) } ?? .init(),
            onError: try top["onError"].map { try walk.choice($0, "\"onError\"") } ?? .stop,
            lookback: try top["lookback"].map(lookback),
            lookbackPlace: top["lookback"].map(walk.place) ?? key.place,
            drift: try top["drift"].map { try walk.choice($0, "\"drift\"") } ?? .report,
            deletes: try top["deletes"].map(deletes) ?? .ignore,
            deletesEverySeconds: try top["deletesEvery"].map(span) ?? 86_400,
            deletesPercentMax: try top["deletesMaxPercent"].map {
                try walk.int($0, "\"deletesMaxPercent\"", in: 0...100)
            } ?? 5,
            schedule: try top["schedule"].map { try walk.placed($0, "\"schedule\"") }
        )
    }

    private func required(_ name: String, _ members: [String: Node], _ parent: Node) throws -> Node {
        guard let node = members[name] else { throw walk.error(parent, "\"\(name)\" is missing") }
        return node
    }

    private func source(_ node: Node) throws -> ExportDefinition.Source {
        let parts = try walk.members(node, allowed: ["schema", "table", "cursor", "columns"])
        let cursor = try required("cursor", parts, node)
        let cursorParts = try walk.members(cursor, allowed: ["field", "idField"])
        return ExportDefinition.Source(
            schema: try parts["schema"].map { try walk.text($0, "\"schema\"") } ?? "public",
            table: try walk.placed(try required("table", parts, node), "\"table\""),
            cursor: try walk.placed(try required("field", cursorParts, cursor), "\"field\""),
            idField: try cursorParts["idField"].map { try walk.placed($0, "\"idField\"") },
            columns: try parts["columns"].flatMap(columns)
        )
    }

    private func columns(_ node: Node) throws -> [Placed]? {
        if case .scalar(let scalar) = node, scalar.string == "*" { return nil }
        let list = try walk.list(node, "\"columns\"").map { try walk.placed($0, "a column") }
        guard !list.isEmpty else { throw walk.error(node, "\"columns\" names no column; '*' means all") }
        guard list != [Placed("*", list[0].place)] else { return nil }
        return list
    }

    private func destination(_ node: Node) throws -> ExportDefinition.Destination {
        let parts = try walk.members(node, allowed: ["schema", "table", "conflictColumns"])
        let conflict = try required("conflictColumns", parts, node)
        let columns = try walk.list(conflict, "\"conflictColumns\"").map { try walk.placed($0, "a column") }
        guard !columns.isEmpty else { throw walk.error(conflict, "\"conflictColumns\" names no column") }
        return ExportDefinition.Destination(
            schema: try parts["schema"].map { try walk.text($0, "\"schema\"") } ?? "analytics_raw",
            table: try walk.placed(try required("table", parts, node), "\"table\""),
            conflictColumns: columns
        )
    }

    private func transform(_ node: Node) throws -> ExportDefinition.Transform {
        let parts = try walk.members(node, allowed: ["rename", "columns", "casts", "skip", "swift"])
        var transform = ExportDefinition.Transform()
        for (name, value) in try entries(parts["rename"]) {
            transform.rename[name.text] = try walk.placed(value, "a new name")
        }
        for (name, value) in try entries(parts["columns"]) {
            transform.columns.append(.init(column: name, sql: try walk.text(value, "an expression")))
        }
        for (name, value) in try entries(parts["casts"]) {
            transform.casts[name.text] = try walk.placed(value, "a type")
        }
        transform.skip = try parts["skip"].map { try walk.placed($0, "\"skip\"") }
        transform.swift = try parts["swift"].map { try walk.placed($0, "\"swift\"") }
        if let swift = transform.swift, !transforms.contains(swift.text) {
            let known = transforms.isEmpty ? "none" : transforms.sorted().joined(separator: ", ")
            throw walk.error(node, "there is no Swift transform \"\(swift.text)\"; known: \(known)")
        }
        return transform
    }

    private func entries(_ node: Node?) throws -> [(key: Placed, value: Node)] {
        guard let node else { return [] }
        return try walk.pairs(node)
    }

    private func span(_ node: Node) throws -> Int {
        guard let seconds = SpanText.seconds(try walk.text(node, "a span of time")) else {
            throw walk.error(node, "a span of time such as 90s, 15m, 2h or 1d is expected")
        }
        return seconds
    }

    private func lookback(_ node: Node) throws -> Lookback {
        let text = try walk.text(node, "\"lookback\"")
        if text == "all" { return .everything }
        if let count = Int64(text), count >= 0 { return .count(count) }
        guard let seconds = SpanText.seconds(text) else {
            throw walk.error(node, "\"lookback\" must be a span of time such as 15m, a number of ids, or all")
        }
        return .seconds(seconds)
    }

    private func deletes(_ node: Node) throws -> DeletePolicy {
        let text = try walk.text(node, "\"deletes\"")
        if text == "ignore" { return .ignore }
        if text == "delete" { return .delete }
        if text.hasPrefix("mark:"), text.count > 5 { return .mark(column: String(text.dropFirst(5))) }
        throw walk.error(node, "\"deletes\" must be ignore, delete or mark:<column>")
    }
}
