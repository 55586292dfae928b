import API
import Foundation
import HTTPTypes
import Runtime
import Testing

/// The description and the routes are the same thing, told twice.
@Suite struct OpenAPITests {
    private static func document() async throws -> JSONValue {
        let answer = try await Daemon().send(.get, "/openapi.json")
        #expect(answer.status == 200)
        return answer.body
    }

    @Test func everyRouteIsDescribedAndNothingElse() async throws {
        let document = try await Self.document()
        #expect(document["openapi"] == "3.1.0")
        var described: Set<String> = []
        for (path, methods) in document["paths"]?.object ?? [:] {
            for method in (methods.object ?? [:]).keys { described.insert("\(method.uppercased()) \(path)") }
        }
        let routes = Set(APIRoutes.all(Daemon().ports()).map { "\($0.method.rawValue) \($0.path)" })
        #expect(routes.subtracting(described) == [], "not described")
        #expect(described.subtracting(routes) == [], "described, but not there")
    }

    @Test func everyScopeIsTheRoutesOwn() async throws {
        let document = try await Self.document()
        for route in APIRoutes.all(Daemon().ports()) {
            let operation = document["paths"]?[route.path]?[route.method.rawValue.lowercased()]
            #expect(operation?["x-scope"]?.string == route.access.scope?.rawValue, "\(route.method) \(route.path)")
        }
    }

    @Test func everyProblemIsListed() throws {
        let file = URL(filePath: #filePath).deletingLastPathComponent().appending(path: "../../docs/errors.md")
        let text = try String(contentsOf: file, encoding: .utf8)
        for name in Problem.Name.allCases { #expect(text.contains("| `\(name.rawValue)` |"), "\(name.rawValue)") }
    }

    @Test func whoHasItNeedsItNotAgain() async throws {
        let first = try await Daemon().send(.get, "/openapi.json")
        let tag = try #require(first.headers[.eTag])
        let second = try await Daemon().send(.get, "/openapi.json", headers: [.ifNoneMatch: "W/\(tag), \"x\""])
        #expect(second.status == 304)
        #expect(second.headers[.eTag] == tag)
        let other = try await Daemon().send(.get, "/openapi.json", headers: [.ifNoneMatch: "\"x\""])
        #expect(other.status == 200)
    }
}
