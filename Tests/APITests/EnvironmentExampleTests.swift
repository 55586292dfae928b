import Foundation
import Testing

/// `.env.example` is held against the settings reader: the same variables, in the same order.
@Suite struct EnvironmentExampleTests {
    private static let root = URL(filePath: #filePath).deletingLastPathComponent().deletingLastPathComponent()
        .deletingLastPathComponent()

    private func text(_ path: String) throws -> String {
        try String(contentsOf: Self.root.appending(path: path), encoding: .utf8)
    }

    @Test func listsEveryVariableTheReaderKnowsAndNoOther() throws {
        let read = try text("Sources/Tallyman/Settings/SettingName.swift").matches(of: /case \w+ = "([A-Z_]+)"/).map {
            String($0.1)
        }
        let listed = try text(".env.example").matches(of: /(?m)^(?:# )?([A-Z_]+)=/).map { String($0.1) }
        #expect(!read.isEmpty)
        #expect(read == listed)
    }

    /// Every name has a comment above it, unless it shares that of the line before.
    @Test func saysWhatEachVariableMeans() throws {
        var hasComment = false
        for line in try text(".env.example").split(separator: "\n", omittingEmptySubsequences: false) {
            if line.firstMatch(of: /^(?:# )?[A-Z_]+=/) != nil {
                #expect(hasComment, "\(line)")
            } else {
                hasComment = line.hasPrefix("# ") && !line.hasPrefix("# ---")
            }
        }
    }
}
