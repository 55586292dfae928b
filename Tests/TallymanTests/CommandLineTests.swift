import Foundation
import TestKit
import Testing

/// The built binary, as an operator runs it.
@Suite struct CommandLineTests {
    struct Answer {
        let status: Int32
        let output: String
        let errors: String
    }

    /// The binary stands beside the test bundle.
    private static var binary: URL {
        URL(filePath: CommandLine.arguments[0]).deletingLastPathComponent().appending(path: "tallyman")
    }

    static func run(_ arguments: [String], _ environment: [String: String] = [:]) throws -> Answer {
        let process = Process()
        process.executableURL = binary
        process.arguments = arguments
        process.environment = environment
        process.currentDirectoryURL = FileManager.default.temporaryDirectory
        let output = Pipe()
        let errors = Pipe()
        process.standardOutput = output
        process.standardError = errors
        try process.run()
        let text = String(decoding: output.fileHandleForReading.readDataToEndOfFile(), as: UTF8.self)
        let complaints = String(decoding: errors.fileHandleForReading.readDataToEndOfFile(), as: UTF8.self)
        process.waitUntilExit()
        return Answer(status: process.terminationStatus, output: text, errors: complaints)
    }

    static func databases() throws -> [String: String] {
        [
            "PRODUCT_SERVICE_MONGODB_URL": try TestMongo.freshDatabaseURL(),
            "CART_DB_URL": try TestPostgres.shared().freshDatabase(),
        ]
    }

    @Test func cronNextPrintsFiresInUTC() throws {
        let answer = try Self.run([
            "cron", "next", "30 2 * * *", "--timezone", "Europe/Paris", "--from", "2026-03-28T12:00:00Z", "--count",
            "2",
            "--json",
        ])
        #expect(answer.status == 0, "\(answer.errors)")
        #expect(answer.output.contains("\"fires\":[\"2026-03-29T01:00:00Z\",\"2026-03-30T00:30:00Z\"]"))
        #expect(answer.output.split(separator: "\n").count == 1)
    }

    @Test func everyMissingSettingIsNamedAtOnceAndNoValue() throws {
        let answer = try Self.run(["sync"], ["SYNC_BATCH_SIZE": "many-secrets", "TIMEZONE": "Nowhere/City"])
        #expect(answer.status == 2)
        for name in ["PRODUCT_SERVICE_MONGODB_URL", "CART_DB_URL", "SYNC_BATCH_SIZE", "TIMEZONE"] {
            #expect(answer.errors.contains(name), "\(name)")
        }
        #expect(!answer.errors.contains("many-secrets"))
    }

    @Test func unknownOptionsAreBadUsage() throws {
        #expect(try Self.run(["sync", "--colour"]).status == 2)
    }

    @Test func anEmptyShopSyncsAndSaysSoInOneObject() throws {
        let settings = try Self.databases()
        let url = settings["CART_DB_URL"] ?? ""
        let unmigrated = try Self.run(["sync", "--json"], settings)
        #expect(unmigrated.status == 1, "migrations are missing")
        try TestPostgres.shared().psql(
            url,
            """
            CREATE TABLE product (id varchar PRIMARY KEY, title varchar, price numeric, image varchar,
                "sellerId" varchar, quantity int)
            """
        )
        #expect(try Self.run(["migrate", "up"], settings).status == 0)
        let answer = try Self.run(["sync", "--json"], settings)
        #expect(answer.status == 0, "\(answer.errors)")
        let object = try JSONSerialization.jsonObject(with: Data(answer.output.utf8)) as? [String: Any]
        #expect(object?["success"] as? Bool == true)
        #expect(object?["state"] as? String == "succeeded")
    }

    @Test func aMissingTableIsAClearError() throws {
        let settings = try Self.databases()
        #expect(try Self.run(["migrate", "up"], settings).status == 0)
        let answer = try Self.run(["sync"], settings)
        #expect(answer.status == 1)
        #expect((answer.output + answer.errors).contains("has no table \"product\""))
    }
}
