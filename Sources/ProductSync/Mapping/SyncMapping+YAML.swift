import ConfigFile
import Runtime
import Yams

extension SyncMapping {
    /// Reads a mapping from YAML text; `file` is only named in errors.
    ///
    /// Throws `.settingsInvalid` with `file:line` for text that is not YAML, an unknown or repeated key, a wrong type
    /// or a missing part.
    package init(yaml: String, file: String) throws {
        let reader = MappingReader(file: file)
        guard let root = try reader.walk.root(yaml) else {
            throw reader.error(1, "the file is empty")
        }
        self = try reader.mapping(root)
    }
}

/// Walks the YAML nodes, which know their lines, and says exactly what does not belong.
private struct MappingReader {
    let file: String
    let walk: YAMLWalk

    init(file: String) {
        self.file = file
        walk = YAMLWalk(file: file, during: "sync.mapping")
    }

    func mapping(_ root: Node) throws -> SyncMapping {
        let top = try members(root, allowed: ["collection", "table", "key", "version", "columns"])
        guard let columnsNode = top["columns"] else { throw error(line(root), "\"columns\" is missing") }
        let tableText = try top["table"].map { try text($0, "table") } ?? "product"
        let tableParts = tableText.split(separator: ".", omittingEmptySubsequences: false).map(String.init)
        guard tableParts.count <= 2, !tableParts.contains("") else {
            throw error(line(top["table"] ?? root), "\"table\" is neither name nor schema.name")
        }
        let key = try top["key"].map { try text($0, "key") } ?? "id"
        var columns: [SyncMapping.Column] = []
        for (name, node) in try pairs(columnsNode) {
            guard name.text != key else { throw error(name.line, "column \"\(key)\" is the key; it always holds _id") }
            guard !columns.contains(where: { $0.name == name.text }) else {
                throw error(name.line, "column \"\(name.text)\" stands twice")
            }
            columns.append(try column(name.text, node, line: name.line))
        }
        guard !columns.isEmpty else { throw error(line(columnsNode), "\"columns\" names no column") }
        let version = try top["version"].map { try text($0, "version") }
        if let version, !columns.contains(where: { $0.name == version }) {
            throw error(
                line(top["version"] ?? root),
                "\"version\" names \"\(version)\", which is not among \"columns\""
            )
        }
        return SyncMapping(
            file: file,
            collection: try top["collection"].map { try text($0, "collection") } ?? "products",
            schema: tableParts.count == 2 ? tableParts[0] : nil,
            table: tableParts[tableParts.count - 1],
            tableLine: top["table"].map(line),
            key: key,
            keyLine: top["key"].map(line),
            columns: columns,
            version: version
        )
    }

    private func column(_ name: String, _ node: Node, line: Int) throws -> SyncMapping.Column {
        if case .scalar = node {
            return .init(name: name, path: try path(node), line: line)
        }
        let parts = try members(node, allowed: ["source", "missing"])
        guard let source = parts["source"] else { throw error(line, "column \"\(name)\" has no \"source\"") }
        return .init(
            name: name,
            path: try path(source),
            missing: try parts["missing"].map(missing) ?? .null,
            line: line
        )
    }

    private func path(_ node: Node) throws -> [String] {
        let parts = try text(node, "source").split(separator: ".", omittingEmptySubsequences: false).map(String.init)
        guard !parts.contains("") else { throw error(line(node), "a source path has an empty part") }
        return parts
    }

    private func missing(_ node: Node) throws -> SyncMapping.MissingRule {
        guard case .scalar(let scalar) = node else {
            throw error(line(node), "\"missing\" must be null, error or a value")
        }
        if node.null != nil, scalar.style == .plain { return .null }
        if scalar.style == .plain {
            if scalar.string == "error" { return .reject }
            if let value = node.bool { return .literal(.bool(value)) }
            if let value = Int64(scalar.string) { return .literal(.int(value)) }
            if let value = Double(scalar.string) { return .literal(.double(value)) }
        }
        return .literal(.string(scalar.string))
    }

    private func members(_ node: Node, allowed: [String]) throws -> [String: Node] {
        try walk.members(node, allowed: allowed)
    }

    private func pairs(_ node: Node) throws -> [((text: String, line: Int), Node)] {
        try walk.pairs(node).map { key, value in ((key.text, key.place.line), value) }
    }

    private func text(_ node: Node, _ what: String) throws -> String { try walk.text(node, what) }

    private func line(_ node: Node) -> Int { node.mark?.line ?? 1 }

    func error(_ line: Int, _ what: String) -> TallyError {
        walk.error(FilePlace(file: file, line: line), what)
    }
}
