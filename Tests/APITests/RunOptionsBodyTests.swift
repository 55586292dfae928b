import API
import Runtime
import Testing

@testable import Engine

@Suite struct RunOptionsBodyTests {
    private let known: Set<RunOptionName> = [.dryRun, .batchSize]

    @Test(arguments: ["", "  \r\n", "{}", "{\"dryRun\":null}"])
    func nothingMeansDefaults(body: String) throws {
        #expect(try RunOptionsBody.read(Array(body.utf8), known: known) == RunOptions())
    }

    @Test func fieldsAreRead() throws {
        let options = try RunOptionsBody.read(Array("{\"dryRun\":true,\"batchSize\":100000}".utf8), known: known)
        #expect(options.dryRun)
        #expect(options.batchSize == 100_000)
    }

    @Test(arguments: [
        ("{\"batchSize\":0}", "batchSize"), ("{\"batchSize\":100001}", "batchSize"),
        ("{\"batchSize\":1.5}", "batchSize"),
        ("{\"batchSize\":\"5\"}", "batchSize"), ("{\"batchSize\":true}", "batchSize"),
        ("{\"batchSize\":99999999999999999999}", "batchSize"), ("{\"dryRun\":1}", "dryRun"),
        ("{\"dryRun\":\"true\"}", "dryRun"), ("{\"dryrun\":true}", "dryrun"), ("{\"verify\":true}", "verify"),
        ("{\"x\\u0000y\":1}", "xy"),
    ])
    func aWrongFieldIsNamed(body: String, field: String) throws {
        let problem = try #require(throws: Problem.self) { try RunOptionsBody.read(Array(body.utf8), known: known) }
        #expect(problem.status == 400)
        #expect(problem.members["field"] == .string(field))
    }

    @Test(arguments: ["[]", "1", "{", "{\"a\":}", "null", "\u{FEFF}x", String(repeating: "[", count: 40_000)])
    func whatIsNoObjectIsRefused(body: String) throws {
        let problem = try #require(throws: Problem.self) { try RunOptionsBody.read(Array(body.utf8), known: known) }
        #expect(problem.name == .badRequest)
    }
}
