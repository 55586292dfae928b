import Foundation

/// Who may import whom: the rules of the house, one row for each folder of `Sources`, from the top down.
///
/// A row names our own modules only; a module of a package is everybody's, but for `homes` and `pure` below.
struct ImportTable {
    struct Row {
        let module: String
        let mayImport: [String]
    }

    let rows: [Row]

    static let tallyman = ImportTable(rows: [
        Row(
            module: "Tallyman",
            mayImport: [
                "API", "Alerts", "ProductSync", "Marketplaces", "TableExport", "Retail", "RetailMock", "Analytics",
                "ConfigFile", "Engine", "HTTPClient", "HTTPServer", "HTTPWire", "Cron", "Postgres", "Mongo",
                "Telemetry", "Runtime", "CLibC",
            ]
        ),
        Row(
            module: "API",
            mayImport: ["Engine", "HTTPServer", "HTTPWire", "StreamCompression", "Telemetry", "Runtime"]
        ),
        Row(module: "Alerts", mayImport: ["Engine", "HTTPClient", "Postgres", "Telemetry", "Runtime"]),
        Row(module: "ProductSync", mayImport: ["ConfigFile", "Engine", "Postgres", "Mongo", "Telemetry", "Runtime"]),
        Row(
            module: "Retail",
            mayImport: ["Engine", "HTTPClient", "Postgres", "Telemetry", "StreamCompression", "Runtime"]
        ),
        Row(module: "RetailMock", mayImport: ["HTTPServer", "Runtime"]),
        Row(module: "TableExport", mayImport: ["ConfigFile", "Engine", "Postgres", "Telemetry", "Runtime"]),
        Row(module: "Analytics", mayImport: ["Engine", "Postgres", "Telemetry", "Runtime"]),
        Row(module: "Marketplaces", mayImport: ["Engine", "HTTPClient", "Postgres", "Telemetry", "Runtime"]),
        Row(module: "Engine", mayImport: ["Cron", "Postgres", "Telemetry", "Runtime"]),
        Row(module: "ConfigFile", mayImport: ["Runtime"]),
        Row(module: "HTTPClient", mayImport: ["Runtime"]),
        Row(module: "HTTPServer", mayImport: ["HTTPWire", "Telemetry", "Runtime", "CLibC"]),
        Row(module: "HTTPWire", mayImport: []),
        Row(module: "Cron", mayImport: []),
        Row(module: "Postgres", mayImport: ["Telemetry", "Runtime", "CLibPQ"]),
        Row(module: "Mongo", mayImport: ["Telemetry", "Runtime", "CLibMongoC"]),
        Row(module: "StreamCompression", mayImport: ["Runtime", "CLibZ", "CLibZstd"]),
        Row(module: "Telemetry", mayImport: ["Runtime"]),
        Row(module: "Runtime", mayImport: []),
        Row(module: "CLibPQ", mayImport: []),
        Row(module: "CLibMongoC", mayImport: []),
        Row(module: "CLibC", mayImport: []),
        Row(module: "CLibZ", mayImport: []),
        Row(module: "CLibZstd", mayImport: []),
    ])

    /// Modules that stand for bytes and calendars only: the imports they may have besides ours.
    static let pure: [String: Set<String>] = [
        "Cron": ["Foundation", "FoundationEssentials", "FoundationInternationalization"],
        "HTTPWire": ["HTTPTypes"],
    ]

    /// Imports with one home: sockets and Dispatch of the server stand in its transport folder.
    static let transportOnly: Set<String> = ["Glibc", "CLibC", "Dispatch", "Musl", "Darwin"]

    /// Every import that breaks a rule, as "file: module".
    func violations(in files: [SwiftFile]) -> [String] {
        let ours = Set(rows.map(\.module))
        let allowed = Dictionary(uniqueKeysWithValues: rows.map { ($0.module, Set($0.mayImport)) })
        return files.filter(\.isSource).flatMap { file in
            file.imports.filter { name in
                if ours.contains(name), allowed[file.module]?.contains(name) != true { return true }
                if name.hasPrefix("NIO") { return true }
                if let permitted = Self.pure[file.module] { return !permitted.contains(name) }
                return file.module == "HTTPServer" && Self.transportOnly.contains(name)
                    && !file.path.hasPrefix("Sources/HTTPServer/Transport/")
            }
            .map { "\(file.path): \(file.module) may not import \($0)" }
        }
    }

    /// Differences between the table and the folders there are.
    func unlisted(folders: [String]) -> [String] {
        let listed = Set(rows.map(\.module))
        return Set(folders).subtracting(listed).sorted().map { "Sources/\($0) has no row in the import table" }
            + listed.subtracting(folders).sorted().map { "the import table names \($0), which is not in Sources" }
    }

    /// Rows that import something standing above them, or nowhere: the table itself runs downward.
    func upwardRows() -> [String] {
        rows.indices.flatMap { index in
            let below = Set(rows[(index + 1)...].map(\.module))
            return rows[index].mayImport.filter { !below.contains($0) }
                .map { "\(rows[index].module) imports \($0), which does not stand below it" }
        }
    }

    /// The table as the README shows it.
    var diagram: String {
        let width = rows.map(\.module.count).max() ?? 0
        return rows.map { row in
            let name = row.module + String(repeating: " ", count: width - row.module.count)
            return row.mayImport.isEmpty ? row.module : "\(name) → \(row.mayImport.joined(separator: ", "))"
        }
        .joined(separator: "\n")
    }
}

extension SwiftFile {
    /// The modules it imports, submodules and single declarations counted by their module.
    var imports: [String] {
        code.compactMap { line in
            guard line.range(of: "import") != nil else { return nil }
            let pattern =
                #/
                ^\s* (?: @\w+ (?: \([^)]*\) )? \s+ )*
                (?: (?:public|package|internal|fileprivate|private) \s+ )?
                import \s+
                (?: (?:struct|class|enum|protocol|actor|func|var|let|typealias) \s+ )?
                ([A-Za-z_]\w*)
                /#
            return (try? pattern.firstMatch(in: line))?.map { String($0.output.1) }
        }
    }
}
