import Foundation
import Postgres
import Retail
import TestKit
import Testing

/// Bytes of JSON to bytes of COPY, and answers of the source to lines of bronze.
@Suite struct RecordTests {
    private static func decimal(_ text: String) -> [UInt8]? {
        var out: [UInt8] = []
        let bytes = Array(text.utf8)
        return DecimalField.append(bytes.span, 0, bytes.count, to: &out) ? out : nil
    }

    /// Property: the short way gives the very bytes of the general one.
    @Test(arguments: SeededGenerator.seeds())
    func decimalsKeepEveryDigit(seed: UInt64) throws {
        var random = SeededGenerator(seed: seed)
        let whole = (0..<Int.random(in: 1...14, using: &random)).map { _ in Int.random(in: 0...9, using: &random) }
        let part = (0..<Int.random(in: 0...12, using: &random)).map { _ in Int.random(in: 0...9, using: &random) }
        var text = Bool.random(using: &random) ? "-" : ""
        text += whole.map(String.init).joined() + (part.isEmpty ? "" : "." + part.map(String.init).joined())
        var expected: [UInt8] = []
        try #require(PGNumeric(decimalText: text)).rounded(toScale: part.count).append(to: &expected)
        // PGNumeric has no sign for zero; neither have we.
        #expect(Self.decimal(text) == expected, "\(text) \(random)")
    }

    @Test(arguments: [
        "", "-", ".", "1.2.3", "abc", "NaN", "Infinity", "1e", "1e999999", "--1", "1 ", "0x10",
        String(repeating: "9", count: 140_000),
    ])
    func whatIsNoDecimalIsNone(text: String) { #expect(Self.decimal(text) == nil) }

    @Test(
        arguments: [
            ("2000-01-01T00:00:00Z", 0), ("2000-01-01", 0), ("2000-01-01 00:00", 0),
            ("1999-12-31T23:59:59.999999Z", -1),
            ("2000-01-01T01:00:00+01:00", 0), ("2000-01-01T00:00:00.1-0030", 1_800_100_000),
            ("2026-02-28T12:34:56.123456Z", 825_597_296_123_456), ("2024-02-29T00:00:00Z", 762_480_000_000_000),
            ("2000-01-01T00:00:00.0000005Z", 1), ("0001-01-01T00:00:00Z", -63_082_281_600_000_000),
        ] as [(String, Int64)]
    )
    func instantsAreExact(text: String, micros: Int64) {
        let bytes = Array(text.utf8)
        #expect(InstantText.microseconds(bytes.span, 0, bytes.count) == micros)
    }

    @Test(arguments: [
        "", "2026", "2026-02-29", "2026-13-01", "2026-04-31", "2026-01-01T24:00:00Z", "2026-01-01T00:60:00Z",
        "2026-01-01T00:00:00.Z", "2026-01-01T00:00:00+1", "2026-01-01T00:00:00Zx", "26-01-01", "2026-1-1",
    ])
    func whatIsNoInstantIsNone(text: String) {
        let bytes = Array(text.utf8)
        #expect(InstantText.microseconds(bytes.span, 0, bytes.count) == nil)
    }

    static let stamp = #""_ingestion_ts":"2026-01-01T00:00:00Z","_batch_id":"6ba7b810-9dad-11d1-80b4-00c04fd430c8""#

    private static func refusal(_ entity: BronzeEntity, _ members: String) -> RecordRejection? {
        var encoder = RecordEncoder(entity)
        var out: [UInt8] = [1, 2, 3]
        let bytes = Array("{\(members)\(members.isEmpty ? "" : ",")\(stamp)}".utf8)
        do throws(RecordRejection) {
            try encoder.append(bytes.span, number: 1, to: &out)
            return nil
        } catch {
            #expect(out == [1, 2, 3], "a refused record leaves nothing behind")
            return error
        }
    }

    @Test(arguments: [
        (BronzeEntity.products, #""product_sku":"a\u00e9\ud83d\ude00","unit_amount":"1.50","unknown":{"a":[1,{}]}"#),
        (.customers, #""customer_id":12,"emails":[],"phone_numbers":["a",null]"#),
        (.customers, #""customer_id":"x","emails":null"#), (.salesCustomer, #""id":"77","total_amount":1e2"#),
        (.salesProduct, #""sale_id":9223372036854775807,"line_no":1,"quantity":-2147483648"#),
    ])
    func goodRecordsAreTaken(entity: BronzeEntity, members: String) {
        #expect(Self.refusal(entity, members) == nil)
    }

    @Test(arguments: [
        (BronzeEntity.products, "", "product_sku"), (.products, #""product_sku":null"#, "product_sku"),
        (.products, #""product_sku":"a\u0000""#, "product_sku"), (.products, #""product_sku":"\ud83d""#, "product_sku"),
        (.products, #""product_sku":["a"]"#, "product_sku"),
        (.products, #""product_sku":"a","unit_amount":"cheap""#, "unit_amount"),
        (.customers, #""customer_id":"a","emails":"x@example.com""#, "emails"),
        (.customers, #""customer_id":"a","emails":[["x"]]"#, "emails"),
        (.salesCustomer, #""id":9223372036854775808"#, "id"), (.salesCustomer, #""id":1.5"#, "id"),
        (.salesCustomer, #""id":1,"datetime":"yesterday""#, "datetime"),
        (.salesProduct, #""sale_id":1,"line_no":2147483648"#, "line_no"),
    ])
    func badRecordsNameTheColumnAndNoValue(entity: BronzeEntity, members: String, column: String) {
        #expect(Self.refusal(entity, members)?.columns == [column])
    }

    @Test(arguments: [
        "{", "[]", "nothing", "{\"a\":01}", "{\"a\":1.}", "{\"a\":\"\u{01}\"}", "{\"a\":1}{}", "{\"a\" 1}",
        "{\"a\":tru}",
        "{\"a\":\(String(repeating: "[", count: 100))}", "",
    ])
    func whatIsNoJSONIsSaidToBe(line: String) {
        var encoder = RecordEncoder(.products)
        var out: [UInt8] = []
        let bytes = Array(line.utf8)
        let error = #expect(throws: RecordRejection.self) {
            try encoder.append(bytes.span, number: 1, to: &out)
        }
        #expect(error?.reason.hasPrefix("the line is no JSON object") == true)
    }

    @Test func bytesThatAreNoUTF8AreRefused() {
        var encoder = RecordEncoder(.products)
        var out: [UInt8] = []
        for bad: [UInt8] in [[0xFF], [0xC0, 0x80], [0xED, 0xA0, 0x80], [0xE2, 0x82], [0xF5, 0x80, 0x80, 0x80]] {
            let bytes = Array("{\"product_sku\":\"".utf8) + bad + Array("\",\(Self.stamp)}".utf8)
            #expect(throws: RecordRejection.self) { try encoder.append(bytes.span, number: 1, to: &out) }
        }
    }

    @Test func keysThatRiseAreKnownToDiffer() throws {
        var encoder = RecordEncoder(.salesProduct)
        var out: [UInt8] = []
        for (sale, line) in [(1, 1), (1, 2), (2, 1)] {
            let bytes = Array("{\"sale_id\":\(sale),\"line_no\":\(line),\(Self.stamp)}".utf8)
            try encoder.append(bytes.span, number: 1, to: &out)
        }
        #expect(encoder.keysRise)
        let again = Array("{\"sale_id\":2,\"line_no\":1,\(Self.stamp)}".utf8)
        try encoder.append(again.span, number: 2, to: &out)
        #expect(!encoder.keysRise)
    }

    /// Fault of the service replaced: line numbers followed the order of the answer.
    @Test func lineNumbersFollowWhatLinesSay() throws {
        let records = BronzeRecords(
            batch: UUID(),
            ingestedAt: Date(timeIntervalSince1970: 1_767_225_600.5)
        )
        let lines = [
            #"{"product_sku": "B", "quantity": 1, "amount": 0.10}"#, #"{"product_sku":"A","quantity":2,"amount":20.0}"#,
            #"{"amount": 1.00, "product_sku": "A", "quantity": 1}"#,
        ]
        func bronze(_ order: [Int]) throws -> (headers: [String], lines: [String]) {
            let items = order.map { lines[$0] }.joined(separator: " , ")
            let sale =
                #"{"id": 7, "datetime": "2026-01-01T00:00:00Z", "total_amount": 21.10, "n": 1, "items": [\#(items)]}"#
            return try #require(records.sales(answer: Array("{\"next\": null, \"items\": [\(sale)]}".utf8)))
        }
        let first = try bronze([0, 1, 2])
        #expect(first.lines.map { $0.prefix(40) }.allSatisfy { $0.hasPrefix("{\"sale_id\":7,\"line_no\":") })
        #expect(first.lines[0].contains(#""line_no":1,"product_sku":"A","quantity":1,"amount":1.00,"#))
        #expect(first.lines[2].contains(#""line_no":3,"product_sku":"B","quantity":1,"amount":0.10,"#))
        #expect(
            first.headers[0].contains(
                #""total_amount":21.10,"n":1,"_line_count":3,"_ingestion_ts":"2026-01-01T00:00:00.500000Z""#
            )
        )
        for order in [[0, 2, 1], [1, 0, 2], [1, 2, 0], [2, 0, 1], [2, 1, 0]] {
            let other = try bronze(order)
            #expect(other.lines == first.lines && other.headers == first.headers)
        }
    }

    @Test(arguments: ["", "{}", "[]", "{\"items\": {}}", "{\"items\": [1,}", "{\"items\": [{\"id\": 1}"])
    func whatIsNoAnswerIsNone(body: String) {
        #expect(BronzeRecords(batch: UUID(), ingestedAt: Date()).sales(answer: Array(body.utf8)) == nil)
    }
}

@Suite struct RetailMigrationTests {
    @Test func everyFileOfTheFolderIsListed() throws {
        let folder = URL(filePath: #filePath).deletingLastPathComponent().deletingLastPathComponent()
            .deletingLastPathComponent().appending(path: "Sources/Retail/Migrations")
        let files = try FileManager.default.contentsOfDirectory(atPath: folder.path).sorted()
        #expect(RetailMigrations.files.map(\.name) == files)
        #expect(try RetailMigrations.migrations().allSatisfy { !$0.down.isEmpty })
    }
}
