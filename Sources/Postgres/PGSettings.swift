package import Runtime

/// How to reach a server and what every session of ours is told at its start.
package struct PGSettings: Sendable {
    package let url: Secret<String>
    /// nil where libpq does not understand `url`.
    package let database: PGDatabaseName?
    package let applicationName: String
    package let connectTimeout: Duration
    package let statementTimeout: Duration?
    package let lockTimeout: Duration?
    package let readOnly: Bool
    package let extra: [String: String]

    package init(
        url: Secret<String>,
        applicationName: String,
        connectTimeout: Duration = .seconds(5),
        statementTimeout: Duration? = nil,
        lockTimeout: Duration? = nil,
        readOnly: Bool = false,
        extra: [String: String] = [:]
    ) {
        self.url = url
        database = url.expose { PGDatabaseName($0) }
        self.applicationName = applicationName
        self.connectTimeout = connectTimeout
        self.statementTimeout = statementTimeout
        self.lockTimeout = lockTimeout
        self.readOnly = readOnly
        self.extra = extra
    }

    /// Host and database without credentials, for people.
    package var databaseLabel: String { database?.label ?? "a URL that libpq does not understand" }
}
