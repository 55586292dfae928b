import Foundation

/// nx-27017, the MongoDB wire server nobody here wrote: `TEST_NX_MONGO_URL`, which `bin/test` sets.
package enum TestMongo {
    /// A URL of the server with a database name of its own.
    package static func freshDatabaseURL() throws -> String {
        guard let url = ProcessInfo.processInfo.environment["TEST_NX_MONGO_URL"], !url.isEmpty else {
            throw TestServiceMissing("TEST_NX_MONGO_URL is not set: run the tests with bin/test")
        }
        guard let scheme = url.range(of: "://") else { throw TestServiceMissing("TEST_NX_MONGO_URL is not a URL") }
        let host = url[scheme.upperBound...].prefix { $0 != "/" }
        return "mongodb://\(host)/\(TestTag.fresh())"
    }
}
