import Foundation

/// The real PostgreSQL that the tests run against: `TEST_POSTGRES_URL`, which `bin/test` sets.
package struct TestPostgres: Sendable {
    private let adminURL: String

    /// Throws when no server was given: a suite that needs one does not pass without it.
    package static func shared() throws -> TestPostgres {
        guard let url = ProcessInfo.processInfo.environment["TEST_POSTGRES_URL"], !url.isEmpty else {
            throw TestServiceMissing("TEST_POSTGRES_URL is not set: run the tests with bin/test")
        }
        return TestPostgres(adminURL: url)
    }

    /// A database of its own for one test; its URL.
    package func freshDatabase() throws -> String {
        let name = "t_" + UUID().uuidString.lowercased().filter { $0 != "-" }
        try psql(adminURL, "CREATE DATABASE \(name)")
        guard let slash = adminURL.lastIndex(of: "/") else {
            throw TestServiceMissing("TEST_POSTGRES_URL has no database")
        }
        return adminURL[...slash] + name
    }

    /// Runs SQL with psql, a client that is not ours; what it printed, one row a line, columns cut by `|`.
    @discardableResult
    package func psql(_ url: String, _ sql: String) throws -> String {
        let process = Process()
        process.executableURL = URL(fileURLWithPath: "/usr/bin/env")
        process.arguments = ["psql", "-X", "-A", "-t", "-q", "-v", "ON_ERROR_STOP=1", "-d", url, "-c", sql]
        let output = Pipe()
        process.standardOutput = output
        process.standardError = FileHandle.standardError
        try process.run()
        let text = String(decoding: output.fileHandleForReading.readDataToEndOfFile(), as: UTF8.self)
        process.waitUntilExit()
        guard process.terminationStatus == 0 else {
            throw TestServiceMissing("psql exited with \(process.terminationStatus)")
        }
        return text
    }
}

/// A service that a test needs is not there.
package struct TestServiceMissing: Error, CustomStringConvertible {
    package let description: String
    package init(_ description: String) { self.description = description }
}

/// nx-27017, the MongoDB wire server nobody here wrote: `TEST_NX_MONGO_URL`, which `bin/test` sets.
package enum TestMongo {
    /// A URL of the server with a database name of its own.
    package static func freshDatabaseURL() throws -> String {
        guard let url = ProcessInfo.processInfo.environment["TEST_NX_MONGO_URL"], !url.isEmpty else {
            throw TestServiceMissing("TEST_NX_MONGO_URL is not set: run the tests with bin/test")
        }
        let name = "t" + UUID().uuidString.lowercased().filter { $0 != "-" }
        guard let scheme = url.range(of: "://") else { throw TestServiceMissing("TEST_NX_MONGO_URL is not a URL") }
        let host = url[scheme.upperBound...].prefix { $0 != "/" }
        return "mongodb://\(host)/\(name)"
    }
}
