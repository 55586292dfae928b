/// An answer of the source: its status and its whole body, which the fetcher bounds.
package struct RetailAnswer: Sendable, Equatable {
    package let status: Int
    package let body: [UInt8]

    package init(status: Int, body: [UInt8]) {
        self.status = status
        self.body = body
    }
}

/// Reads from the source's HTTP API.
package protocol RetailFetching: Sendable {
    /// One GET of a path below the API's base with the given query and headers.
    ///
    /// Gives every status as it is. Throws `.sourceUnreachable` for a connection that failed or an answer that broke
    /// off, `.deadlineExceeded` when it took too long, `.limitExceeded` when the body is larger than the bound.
    func get(_ path: String, query: [(String, String)], headers: [(String, String)]) async throws -> RetailAnswer
}
