import Foundation
import HTTPServer
import HTTPTypes

/// A page that a feature had built about its data; nil while it was not.
package struct DocumentationPage: Sendable {
    package let name: String
    /// How to have it built.
    package let remedy: String
    package let read: @Sendable () async throws -> [UInt8]?

    package init(name: String, remedy: String, read: @escaping @Sendable () async throws -> [UInt8]?) {
        self.name = name
        self.remedy = remedy
        self.read = read
    }
}

/// Pages made by other tools, such as dbt's documentation; each in a sandbox of its own.
struct DocumentationRoutes: Sendable {
    let ports: APIPorts

    /// Such a page has its scripts within it. The sandbox gives it an origin of its own: it reaches neither the
    /// console's token nor the API, and may load nothing.
    private static let policy =
        "sandbox allow-scripts allow-popups; default-src 'none'; script-src 'unsafe-inline' 'unsafe-eval'; "
        + "style-src 'unsafe-inline'; img-src data:; font-src data:; frame-ancestors 'none'"

    var routes: [APIRoute] {
        [
            APIRoute(.get, "/docs/{name}", .read) { request in
                guard let page = ports.documentation.first(where: { $0.name == request.parameter("name") }) else {
                    throw Problem(.notFound, status: 404, "No such page", detail: "No feature has that documentation.")
                }
                guard let bytes = try await page.read() else {
                    throw Problem(.notFound, status: 404, "The page was not built yet", detail: page.remedy)
                }
                var headers: HTTPFields = [:]
                if let name = HTTPField.Name("Content-Security-Policy") { headers[name] = Self.policy }
                return StaticAnswer(bytes, type: "text/html; charset=utf-8")
                    .response(to: request.request, headers: headers)
            }
        ]
    }
}
