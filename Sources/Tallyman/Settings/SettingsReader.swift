import Configuration
import Cron
import Foundation
import Postgres
import Runtime

/// One thing that is wrong with the settings: the variable's name and what it must be, never what it is.
struct SettingProblem: Sendable, Equatable {
    let name: String
    let reason: String
}

/// Every problem of the settings at once.
struct SettingsInvalid: Error, Sendable {
    let problems: [SettingProblem]
}

/// Reads environment variables by name and collects every problem instead of stopping at the first.
///
/// The process environment comes first, then a `.env` file in the working directory. An empty value counts as unset.
struct SettingsReader {
    private let lookUp: (String) -> String?
    private(set) var problems: [SettingProblem] = []

    init(_ lookUp: @escaping (String) -> String?) {
        self.lookUp = lookUp
    }

    /// The environment of this process over `.env` of the working directory.
    static func process() throws -> SettingsReader {
        let environment = EnvironmentVariablesProvider()
        let file = EnvironmentVariablesProvider(environmentVariables: try EnvironmentFile.read(".env"))
        return SettingsReader { name in
            if let value = try? environment.environmentValue(forName: name), !value.isEmpty { return value }
            return (try? file.environmentValue(forName: name)).flatMap { $0 }
        }
    }

    func has(_ name: SettingName) -> Bool { value(name) != nil }

    func string(_ name: SettingName) -> String? { value(name) }

    func secret(_ name: SettingName) -> Secret<String>? { value(name).map { Secret($0) } }

    mutating func int(_ name: SettingName, in range: ClosedRange<Int>, default fallback: Int) -> Int {
        guard let text = value(name) else { return fallback }
        guard let number = Int(text), range.contains(number) else {
            refuse(name, "must be a whole number from \(range.lowerBound) to \(range.upperBound)")
            return fallback
        }
        return number
    }

    mutating func bool(_ name: SettingName, default fallback: Bool) -> Bool {
        guard let text = value(name) else { return fallback }
        switch text.lowercased() {
        case "true", "1", "yes", "on": return true
        case "false", "0", "no", "off": return false
        default:
            refuse(name, "must be true or false")
            return fallback
        }
    }

    /// One of a few words.
    mutating func choice<Value>(_ name: SettingName, _ choices: [String: Value], default fallback: Value) -> Value {
        guard let text = value(name) else { return fallback }
        guard let chosen = choices[text.lowercased()] else {
            refuse(name, "must be one of \(choices.keys.sorted().joined(separator: ", "))")
            return fallback
        }
        return chosen
    }

    /// A value that `parse` must understand; `expected` says what it would have understood.
    mutating func parsed<Value>(
        _ name: SettingName,
        default fallback: String,
        expected: String,
        _ parse: (String) -> Value?
    ) -> Value? {
        let text = value(name) ?? fallback
        guard let parsed = parse(text) else {
            refuse(name, "must be \(expected)")
            return nil
        }
        return parsed
    }

    /// A PostgreSQL URL; nil when it is unset or refused. `example` shows what a required one looks like.
    mutating func database(_ name: SettingName, required example: String?) -> PGSettings? {
        guard let url = secret(name) else {
            if let example { refuse(name, "is required: \(example)") }
            return nil
        }
        guard url.expose({ $0.hasPrefix("postgres://") || $0.hasPrefix("postgresql://") }) else {
            refuse(name, "must be a URL that begins with postgresql:// or postgres://")
            return nil
        }
        let settings = PGSettings(url: url, applicationName: "tallyman")
        guard settings.database != nil else {
            refuse(name, "is no connection URL that libpq understands; percent-encode what is special in a password")
            return nil
        }
        return settings
    }

    /// A schedule's expression; a refusal names the field at fault, never what stands in it.
    mutating func cron(_ name: SettingName, default fallback: String) -> CronExpression? {
        do throws(CronParseError) {
            return try CronExpression(value(name) ?? fallback)
        } catch {
            let expected = "must be a cron expression of five fields, such as */30 * * * *"
            refuse(name, error.field == "expression" ? expected : "\(expected); its \(error.field) is not valid")
            return nil
        }
    }

    func list(_ name: SettingName) -> [String] {
        (value(name) ?? "").split(separator: ",").map { Self.trimmed($0) }.filter { !$0.isEmpty }
    }

    mutating func refuse(_ name: SettingName, _ reason: String) {
        problems.append(SettingProblem(name: name.rawValue, reason: reason))
    }

    /// - Throws: `SettingsInvalid` with all that was wrong.
    func finish() throws {
        guard problems.isEmpty else { throw SettingsInvalid(problems: problems) }
    }

    private func value(_ name: SettingName) -> String? {
        guard let text = lookUp(name.rawValue).map({ Self.trimmed($0[...]) }), !text.isEmpty else { return nil }
        return text
    }

    private static func trimmed(_ text: Substring) -> String {
        let start = text.drop(while: \.isWhitespace)
        guard let last = start.lastIndex(where: { !$0.isWhitespace }) else { return "" }
        return String(start[...last])
    }
}
