package import HTTPTypes

/// A request as a handler sees it.
package struct ServerRequest: Sendable {
    package var method: HTTPRequest.Method
    package var path: [String]
    package var query: [(String, String)]
    package var headers: HTTPFields
    package var body: [UInt8]
    package var remoteAddress: String
    package var id: String
    package var host: String
    /// `OPTIONS *`: about the server, not about a path.
    package var isServerWide = false

    package init(
        method: HTTPRequest.Method,
        path: [String],
        query: [(String, String)],
        headers: HTTPFields,
        body: [UInt8],
        remoteAddress: String,
        id: String,
        host: String
    ) {
        self.method = method
        self.path = path
        self.query = query
        self.headers = headers
        self.body = body
        self.remoteAddress = remoteAddress
        self.id = id
        self.host = host
    }
}

/// What a handler answers.
package struct ServerResponse: Sendable {
    package enum Body: Sendable {
        case bytes([UInt8])
        /// Sent as it is made; the length is not known beforehand.
        case stream(ResponseStream)
    }

    package var status: HTTPResponse.Status
    package var headers: HTTPFields
    package var body: Body
    /// Fields besides `headers` that many answers share.
    package var shared: SharedFields?

    /// `headers` and what is shared.
    package var allHeaders: HTTPFields {
        var all = headers
        for field in shared?.fields ?? [] { all.append(field) }
        return all
    }

    package init(status: HTTPResponse.Status, headers: HTTPFields = [:], body: Body = .bytes([])) {
        self.status = status
        self.headers = headers
        self.body = body
    }
}

/// Fields that are the same in many answers, written once.
package struct SharedFields: Sendable {
    package let fields: [HTTPField]
    let lines: [UInt8]

    package init(_ fields: [HTTPField]) {
        self.fields = fields
        lines = fields.flatMap { Array("\($0.name.rawName): \($0.value)\r\n".utf8) }
    }

    /// Whether one of them is also in `headers`, which then counts.
    package func overlaps(_ headers: HTTPFields) -> Bool {
        headers.contains { field in fields.contains { $0.name == field.name } }
    }
}
