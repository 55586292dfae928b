import Foundation

/// The checkout these tests were compiled from, read as text.
enum Project {
    /// The project folder, found from this file's own path; links are followed, so that a linked `Tests` leads home.
    static let root: URL = URL(filePath: #filePath).deletingLastPathComponent().resolvingSymlinksInPath()
        .deletingLastPathComponent().deletingLastPathComponent()

    /// A file of the project, or nil where there is none.
    static func text(_ path: String) -> String? {
        try? String(contentsOf: root.appending(path: path), encoding: .utf8)
    }

    static func exists(_ path: String) -> Bool {
        FileManager.default.fileExists(atPath: root.appending(path: path).path)
    }

    /// The names of the folders directly below `path`, in order.
    static func folders(in path: String) throws -> [String] {
        try FileManager.default.contentsOfDirectory(atPath: root.appending(path: path).path)
            .filter { name in
                var isFolder: ObjCBool = false
                let found = FileManager.default.fileExists(
                    atPath: root.appending(path: "\(path)/\(name)").path,
                    isDirectory: &isFolder
                )
                return found && isFolder.boolValue && !name.hasPrefix(".")
            }
            .sorted()
    }

    /// Every file below `path`, as paths from the project folder, in order.
    static func files(in path: String) throws -> [String] {
        try FileManager.default.subpathsOfDirectory(atPath: root.appending(path: path).path)
            .filter { !$0.split(separator: "/").contains { $0.hasPrefix(".") || $0 == "__pycache__" } }
            .map { "\(path)/\($0)" }
            .filter { file in
                var isFolder: ObjCBool = false
                let found = FileManager.default.fileExists(
                    atPath: root.appending(path: file).path,
                    isDirectory: &isFolder
                )
                return found && !isFolder.boolValue
            }
            .sorted()
    }

    /// Every Swift file of the sources and the tests, read once for all rules.
    static let swiftFiles: [SwiftFile] = {
        let paths = (try? ["Sources", "Tests"].flatMap(files(in:))) ?? []
        return paths.filter { $0.hasSuffix(".swift") }.compactMap { path in
            text(path).map { SwiftFile(path: path, text: $0) }
        }
    }()
}

/// One Swift file: where it stands and what is code in it.
struct SwiftFile {
    /// From the project folder, such as `Sources/Cron/CronField.swift`.
    let path: String
    let text: String
    let lines: [Substring]
    /// `lines` with comments and the text of string literals blanked out: what the compiler runs.
    let code: [Substring]

    init(path: String, text: String) {
        self.path = path
        self.text = text
        var bare = text[...]
        if bare.hasSuffix("\n") { bare = bare.dropLast() }
        lines = bare.split(separator: "\n", omittingEmptySubsequences: false)
        code = SwiftCode.withoutCommentsAndStrings(text).split(separator: "\n", omittingEmptySubsequences: false)
    }

    /// The folder under `Sources` or `Tests` it belongs to.
    var module: String {
        let parts = path.split(separator: "/")
        return parts.count > 2 ? String(parts[1]) : ""
    }

    var isSource: Bool { path.hasPrefix("Sources/") }
}
