import Foundation

/// The real PostgreSQL that the tests run against: the one in `TEST_POSTGRES_URL`, which `bin/test` sets, or a
/// private cluster that ends with this process.
package struct TestPostgres: Sendable {
    /// The superuser's URL, with a database name.
    package let adminURL: String

    /// Throws when no server is there and none can be started: a suite that needs one does not pass without it.
    package static func shared() throws -> TestPostgres {
        if let url = ProcessInfo.processInfo.environment["TEST_POSTGRES_URL"], !url.isEmpty {
            return TestPostgres(adminURL: url)
        }
        return TestPostgres(adminURL: try PrivateCluster.url())
    }

    package init(adminURL: String) { self.adminURL = adminURL }

    /// A database of its own for one test; its URL.
    package func freshDatabase() throws -> String {
        let name = TestTag.fresh()
        try psql(adminURL, "CREATE DATABASE \(name)")
        guard let scheme = adminURL.range(of: "://"), let slash = adminURL[scheme.upperBound...].firstIndex(of: "/")
        else { throw TestServiceMissing("the PostgreSQL URL has no database") }
        let options = adminURL[slash...].firstIndex(of: "?").map { adminURL[$0...] } ?? ""
        return adminURL[...slash] + name + options
    }

    /// Runs SQL with psql, a client that is not ours; what it printed, one row a line, columns cut by `|`.
    @discardableResult
    package func psql(_ url: String, _ sql: String) throws -> String {
        let arguments = ["-X", "-A", "-t", "-q", "-v", "ON_ERROR_STOP=1", "-d", url, "-c", sql]
        let ended = try ChildProcess.run("psql", arguments)
        guard ended.exit == .code(0) else { throw TestServiceMissing("psql: \(ended.errorText)") }
        return ended.outputText
    }
}

/// A service that a test needs is not there.
package struct TestServiceMissing: Error, CustomStringConvertible {
    package let description: String
    package init(_ description: String) { self.description = description }
}
