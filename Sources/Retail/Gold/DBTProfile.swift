import Foundation
import Runtime

/// dbt's way to the warehouse, made from its URL; the password goes through the child's environment alone.
struct DBTProfile: Sendable {
    /// dbt hides the values of variables with this prefix in all it writes.
    static let passwordVariable = "DBT_ENV_SECRET_TALLYMAN"
    /// Tags the sessions of dbt, so that they can be ended.
    static let applicationName = "tallyman-gold"

    let yaml: String
    let password: Secret<String>

    /// Throws `.settingsInvalid` when the URL names no user or database.
    init(_ url: Secret<String>) throws {
        let parts = url.expose { URLComponents(string: $0) }
        var query: [String: String] = [:]
        for item in parts?.queryItems ?? [] { query[item.name] = item.value }
        let database = parts.map { String($0.path.dropFirst()) } ?? ""
        guard let parts, let user = parts.user ?? query["user"], !database.isEmpty else {
            throw TallyError(
                .settingsInvalid,
                during: "retail.gold",
                "RETAIL_DATABASE_URL must name user and database for dbt",
                remedy: "postgresql://user:password@host:5432/retail"
            )
        }
        let host = parts.host.flatMap { $0.isEmpty ? nil : $0 } ?? query["host"] ?? "localhost"
        var lines = [
            "retail:", "  target: warehouse", "  outputs:", "    warehouse:", "      type: postgres",
            "      host: \(Self.quoted(host))", "      port: \(parts.port ?? 5432)",
            "      user: \(Self.quoted(user))",
            "      password: \"{{ env_var('\(Self.passwordVariable)') }}\"",
            "      dbname: \(Self.quoted(database))", "      schema: gold", "      threads: 4",
            "      connect_timeout: 10", "      application_name: \(Self.applicationName)",
        ]
        for name in ["sslmode", "sslcert", "sslkey", "sslrootcert"] {
            if let value = query[name] { lines.append("      \(name): \(Self.quoted(value))") }
        }
        yaml = lines.joined(separator: "\n") + "\n"
        password = Secret(parts.password ?? query["password"] ?? "")
    }

    /// JSON's strings are strings of YAML too; a brace that would begin a template is written as an escape.
    private static func quoted(_ text: String) -> String {
        JSONValue.string(text).text.replacing("{", with: "\\u007b")
    }
}
