import Foundation
import Marketplaces
import Testing

/// The vendors' own examples, which stand beside the project and are no part of it.
enum Fixtures {
    /// nil in a clone that has nothing beside it.
    static var folder: URL? {
        ProcessInfo.processInfo.environment["FIXTURES_DIR"].flatMap { $0.isEmpty ? nil : URL(filePath: $0) }
    }
    static let areThere = folder != nil || ProcessInfo.processInfo.environment["CI"] != nil

    static func bytes(_ path: String) throws -> [UInt8] {
        let folder = try #require(folder, "FIXTURES_DIR is not set")
        return Array(try Data(contentsOf: folder.appending(path: path)))
    }

    struct Example {
        let api: String
        let operation: String
        let status: String
        let response: WireJSON
    }

    /// Sandbox pairs and documentation examples of Amazon's models.
    static func amazon(_ operations: String...) throws -> [Example] {
        let all = try WireJSON(parsing: bytes("amazon/sandbox-examples.derived.json")).array ?? []
        return all.compactMap { entry in
            guard let api = entry["api"].string, let operation = entry["operationId"].string,
                operations.contains(operation), !api.hasSuffix("V0")
            else { return nil }
            return Example(
                api: api,
                operation: operation,
                status: entry["status"].text ?? "",
                response: entry["response"]
            )
        }
    }

    /// Compares with a file of the test bundle's folder; `UPDATE_GOLDEN=1` writes it anew.
    static func expectGolden(_ text: String, _ name: String) throws {
        let file = URL(filePath: #filePath).deletingLastPathComponent().appending(path: "Fixtures/\(name)")
        if ProcessInfo.processInfo.environment["UPDATE_GOLDEN"] == "1" {
            try Data(text.utf8).write(to: file)
        }
        #expect(text == (try String(contentsOf: file, encoding: .utf8)), "differs from \(name)")
    }
}
