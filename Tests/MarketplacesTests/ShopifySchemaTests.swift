import Foundation
import Marketplaces
import TestKit
import Testing

/// Every query that is sent, held against Shopify's own schema by graphql-core.
@Suite struct ShopifySchemaTests {
    static let environment = ProcessInfo.processInfo.environment
    // Where CI is set and one of the two is not there, that is a failure and no skip.
    static let canValidate =
        environment["CI"] != nil || (environment["TEST_PYTHON"] != nil && Fixtures.folder != nil)

    @Test(.enabled(if: canValidate, "needs TEST_PYTHON with graphql-core and FIXTURES_DIR; bin/test sets both"))
    func everyQueryIsValid() throws {
        var documents: [String: String] = [:]
        for query in ShopifyQuery.allCases { documents[query.rawValue] = query.document }
        for query in ShopifyBulkQuery.allCases {
            documents["bulk \(query.rawValue)"] = query.document(until: Date(timeIntervalSince1970: 1_770_000_000))
            documents["bulk \(query.rawValue), everything"] = query.document(until: nil)
        }
        documents["a query that is wrong"] = "{ shop { noSuchField } }"
        let answer = try Self.validate(documents)
        let lines = answer.split(separator: "\n").map(String.init)
        #expect(lines.last == "validated \(documents.count)")
        #expect(lines.count == 2, "one error, that of the wrong query: \(answer)")
        #expect(lines.first?.contains("noSuchField") == true)
    }

    private static func validate(_ documents: [String: String]) throws -> String {
        let python = try #require(environment["TEST_PYTHON"], "TEST_PYTHON is not set; run bin/test")
        let fixtures = try #require(Fixtures.folder, "FIXTURES_DIR is not set")
        let script = URL(filePath: #filePath).deletingLastPathComponent().appending(path: "../../bin/lib")
            .appending(path: "validate_graphql.py").standardized
        let child = try ChildProcess(
            python,
            [script.path(), fixtures.appending(path: "shopify/schema/admin-2026-04.graphql.gz").path()]
        )
        child.send(String(decoding: try JSONEncoder().encode(documents), as: UTF8.self))
        child.closeInput()
        let ended = child.progress.waitBlocking(within: .seconds(180)) { $0.exit != nil }
        try #require(ended, "the validator did not end")
        #expect(child.progress.value.errorText == "")
        return child.progress.value.outputText
    }
}
