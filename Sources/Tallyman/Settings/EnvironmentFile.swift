import Foundation

/// A `.env` file: `NAME=value` lines, comments, `export` before a name and quotes around a value.
enum EnvironmentFile {
    /// The variables of the file at `path`, none when there is no such file.
    ///
    /// - Throws: `SettingsInvalid` naming the file when it is there and cannot be read.
    static func read(_ path: String) throws -> [String: String] {
        guard FileManager.default.fileExists(atPath: path) else { return [:] }
        guard let text = try? String(contentsOfFile: path, encoding: .utf8) else {
            throw SettingsInvalid(problems: [SettingProblem(name: path, reason: "cannot be read")])
        }
        return parse(text)
    }

    /// The last line of a name wins; a line that is no assignment is passed over.
    static func parse(_ text: String) -> [String: String] {
        var variables: [String: String] = [:]
        for line in text.split(whereSeparator: \.isNewline) {
            let parts = line.split(separator: "=", maxSplits: 1, omittingEmptySubsequences: false)
            guard parts.count == 2 else { continue }
            var name = parts[0].trimmingCharacters(in: .whitespaces)
            if name.hasPrefix("export ") { name = name.dropFirst(7).trimmingCharacters(in: .whitespaces) }
            guard !name.isEmpty, !name.hasPrefix("#") else { continue }
            variables[name] = unquoted(parts[1].trimmingCharacters(in: .whitespaces))
        }
        return variables
    }

    private static func unquoted(_ text: String) -> String {
        for quote in ["\"", "'"] where text.count >= 2 && text.hasPrefix(quote) && text.hasSuffix(quote) {
            return String(text.dropFirst().dropLast())
        }
        return text
    }
}
