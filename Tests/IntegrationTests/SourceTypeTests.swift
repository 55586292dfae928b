import Engine
import Postgres
import ProductSync
import Runtime
import TestKit
import Testing

/// Every row of the table of value rules against a real PostgreSQL, from raw BSON: written, then compared equal, then
/// found when the target is changed by hand.
@Suite(.serialized) struct SourceTypeTests {
    struct Value: Sendable, CustomTestStringConvertible {
        let name: String
        let column: String
        /// What psql shows, nil: a dead letter.
        let shown: String?
        let write: @Sendable (inout BSONWriter) -> Void
        var testDescription: String { "\(name) in \(column)" }

        init(
            _ name: String,
            _ column: String,
            _ shown: String?,
            _ write: @escaping @Sendable (inout BSONWriter) -> Void
        ) {
            self.name = name
            self.column = column
            self.shown = shown
            self.write = write
        }
    }

    private static let uuid: [UInt8] = (0..<16).map { UInt8($0 * 16 + 1) }
    private static let uuidText = "01112131-4151-6171-8191-a1b1c1d1e1f1"

    static let values: [Value] = [
        Value("19.99", "numeric", "19.99") { $0.append("v", double: 19.99) },
        Value("0.1 + 0.2", "numeric", "0.30000000000000004") { $0.append("v", double: 0.1 + 0.2) },
        Value("5e-324", "numeric", "0." + String(repeating: "0", count: 323) + "5") {
            $0.append("v", double: .leastNonzeroMagnitude)
        },
        Value("largest double", "numeric", "17976931348623157" + String(repeating: "0", count: 292)) {
            $0.append("v", double: .greatestFiniteMagnitude)
        },
        Value("-0.0", "numeric", "0") { $0.append("v", double: -0.0) },
        Value("NaN", "numeric", "NaN") { $0.append("v", double: .nan) },
        Value("infinity", "numeric", "Infinity") { $0.append("v", double: .infinity) },
        Value("-infinity", "numeric", "-Infinity") { $0.append("v", double: -.infinity) },
        Value("infinity", "numeric(10,2)", nil) { $0.append("v", double: .infinity) },
        Value("NaN", "numeric(10,2)", "NaN") { $0.append("v", double: .nan) },
        Value("Decimal128 0.00", "numeric", "0.00") { $0.append("v", decimal: 0, exponent: -2) },
        Value("seven", "numeric(10,2)", "7.00") { $0.append("v", int32: 7) },
        Value("half", "numeric(6,1)", "2.5") { $0.append("v", double: 2.45) },
        Value("too big", "numeric(4,2)", nil) { $0.append("v", double: 100) },
        Value("Decimal128 12345678901234567890.123456789", "numeric", "12345678901234567890.123456789") {
            $0.append("v", decimal: 12_345_678_901_234_567_890_123_456_789, exponent: -9)
        },
        Value("Decimal128 34 nines", "numeric", String(repeating: "9", count: 34)) {
            $0.append("v", decimal: 9_999_999_999_999_999_999_999_999_999_999_999, exponent: 0)
        },
        Value("Decimal128 1E-6176", "numeric", "0." + String(repeating: "0", count: 6_175) + "1") {
            $0.append("v", decimal: 1, exponent: -6_176)
        },
        Value("Decimal128 1E+6111", "numeric", "1" + String(repeating: "0", count: 6_111)) {
            $0.append("v", decimal: 1, exponent: 6_111)
        },
        Value("Decimal128 -1.50", "numeric", "-1.50") { $0.append("v", decimal: 150, exponent: -2, negative: true) },
        Value("Decimal128 NaN", "numeric", "NaN") {
            $0.append("v", type: 0x13, raw: BSONWriter.little(UInt64(0)) + BSONWriter.little(UInt64(0x7C) << 56))
        },
        Value("Decimal128 infinity", "numeric", "Infinity") {
            $0.append("v", type: 0x13, raw: BSONWriter.little(UInt64(0)) + BSONWriter.little(UInt64(0x78) << 56))
        },
        Value("Decimal128 7", "int", "7") { $0.append("v", decimal: 70, exponent: -1) },
        Value("Decimal128 7.5", "int", nil) { $0.append("v", decimal: 75, exponent: -1) },
        Value("int64 max", "bigint", "9223372036854775807") { $0.append("v", int64: .max) },
        Value("int64 min", "bigint", "-9223372036854775808") { $0.append("v", int64: .min) },
        Value("int64 max", "numeric", "9223372036854775807") { $0.append("v", int64: .max) },
        Value("int64", "int", nil) { $0.append("v", int64: 3_000_000_000) },
        Value("int32", "smallint", nil) { $0.append("v", int32: 40_000) },
        Value("int32", "smallint", "-32768") { $0.append("v", int32: -32_768) },
        Value("int32", "text", "42") { $0.append("v", int32: 42) },
        Value("int64 2^53 + 1", "float8", nil) { $0.append("v", int64: 9_007_199_254_740_993) },
        Value("double", "float8", "0.1") { $0.append("v", double: 0.1) },
        Value("double", "real", "0.1") { $0.append("v", double: 0.1) },
        Value("double NaN", "float8", "NaN") { $0.append("v", double: .nan) },
        Value("1e300", "real", nil) { $0.append("v", double: 1e300) },
        Value("double 3", "int", "3") { $0.append("v", double: 3) },
        Value("double 3.5", "int", nil) { $0.append("v", double: 3.5) },
        Value("date", "timestamptz", "2023-11-14 22:13:20.123+00") { $0.append("v", date: 1_700_000_000_123) },
        Value("date before 1970", "timestamptz", "1969-12-31 23:59:59.999+00") { $0.append("v", date: -1) },
        Value("date out of range", "timestamptz", nil) { $0.append("v", date: .max) },
        Value("date at the end", "timestamptz", "294276-12-31 23:59:59.999+00") {
            $0.append("v", date: 9_224_318_015_999_999)
        },
        Value("date one too late", "timestamptz", nil) { $0.append("v", date: 9_224_318_016_000_000) },
        Value("date", "timestamptz(0)", "2023-11-14 22:13:21+00") { $0.append("v", date: 1_700_000_000_500) },
        Value("date", "date", "1969-12-31") { $0.append("v", date: -1) },
        Value("string", "date", nil) { $0.append("v", string: "2023-01-01") },
        Value("string", "varchar(3)", "äöü") { $0.append("v", string: "äöü") },
        Value("string too long", "varchar(3)", nil) { $0.append("v", string: "abcd") },
        Value("string", "char(4)", "ab  ") { $0.append("v", string: "ab") },
        Value("string with NUL", "text", nil) { $0.append("v", string: "a\0b") },
        Value("bytes that are no UTF-8", "text", nil) {
            $0.append("v", type: 0x02, raw: BSONWriter.little(UInt32(3)) + [0xC3, 0x28, 0])
        },
        Value("symbol", "text", "sym") { $0.append("v", type: 0x0E, raw: BSONWriter.text("sym")) },
        Value("string", "mood", "happy") { $0.append("v", string: "happy") },
        Value("string that is no label", "mood", nil) { $0.append("v", string: "grumpy") },
        Value("string", "citext", "MiXed") { $0.append("v", string: "MiXed") },
        Value("string", "uuid", uuidText) { $0.append("v", string: uuidText.uppercased()) },
        Value("ObjectId", "text", "0102030405060708090a0b0c") { $0.append("v", objectID: Array(1...12)) },
        Value("ObjectId", "bytea", "\\x0102030405060708090a0b0c") { $0.append("v", objectID: Array(1...12)) },
        Value("UUID", "uuid", uuidText) { $0.append("v", binary: uuid, subtype: 4) },
        Value("UUID", "text", uuidText) { $0.append("v", binary: uuid, subtype: 4) },
        Value("UUID of subtype 3", "uuid", nil) { $0.append("v", binary: uuid, subtype: 3) },
        Value("binary", "bytea", "\\x00ff10") { $0.append("v", binary: [0, 255, 16]) },
        Value("binary of subtype 2", "bytea", "\\x0102") {
            $0.append("v", binary: [2, 0, 0, 0, 1, 2], subtype: 2)
        },
        Value("bool", "boolean", "t") { $0.append("v", bool: true) },
        Value("int32", "boolean", nil) { $0.append("v", int32: 1) },
        Value("array", "text[]", "{a,NULL,\"b c\"}") {
            $0.append(
                "v",
                type: 0x04,
                raw: BSONWriter.document { list in
                    list.append("0", string: "a")
                    list.appendNull("1")
                    list.append("2", string: "b c")
                }
            )
        },
        Value("array of decimals", "numeric[]", "{1.50,2}") {
            $0.append(
                "v",
                type: 0x04,
                raw: BSONWriter.document { list in
                    list.append("0", decimal: 150, exponent: -2)
                    list.append("1", int32: 2)
                }
            )
        },
        Value("array with a wrong member", "int[]", nil) { $0.append("v", strings: ["x"]) },
        Value(
            "document",
            "jsonb",
            #"{"d": 1.50, "i": 9223372036854775807, "n": null, "o": "0102030405060708090a0b0c"}"#
        ) {
            $0.append(
                "v",
                document: { inner in
                    inner.append("o", objectID: Array(1...12))
                    inner.append("i", int64: .max)
                    inner.append("d", decimal: 150, exponent: -2)
                    inner.appendNull("n")
                }
            )
        },
        Value("string", "jsonb", #""text""#) { $0.append("v", string: "text") },
        Value("null", "text", "") { $0.appendNull("v") },
        Value("undefined", "text", "") { $0.append("v", type: 0x06, raw: []) },
        Value("null where it may not be", "text NOT NULL", nil) { $0.appendNull("v") },
        Value("regular expression", "text", nil) { $0.append("v", type: 0x0B, raw: [0x61, 0, 0]) },
    ]

    private static let types = """
        CREATE EXTENSION IF NOT EXISTS citext;
        CREATE TYPE mood AS ENUM ('happy', 'sad');
        """

    @Test(arguments: values)
    func arrivesExactlyAndComparesEqual(_ value: Value) async throws {
        let server = try MongoStandIn()
        try server.load(
            "products",
            [
                BSONWriter.document { writer in
                    writer.append("_id", objectID: ShopDocuments.id(1))
                    value.write(&writer)
                }
            ]
        )
        let bench = try await SyncBench.make(
            table: "\(Self.types) CREATE TABLE product (id text PRIMARY KEY, v \(value.column))",
            source: server.url
        )
        let settings = ProductSyncSettings(mapping: try SyncMapping(yaml: "columns: {v: v}", file: "mapping.yaml"))
        let run = try await bench.run(bench.job(settings), RunOptions(verify: true))
        let shown = try TestPostgres.shared().psql(bench.url, "SET timezone = 'UTC'; SELECT v FROM product")
        if let expected = value.shown {
            #expect(run.state == .succeeded, "\(String(describing: run.error)) \(run.summary?.text ?? "")")
            #expect(shown == expected + "\n")
            let again = try await bench.run(bench.job(settings), RunOptions(dryRun: true))
            #expect(again.summary?["counts"]?["unchangedProducts"] == 1, "\(again.summary?.text ?? "")")
        } else {
            #expect(run.state == .partial, "\(String(describing: run.error)) \(run.summary?.text ?? "")")
            #expect(run.summary?["counts"]?["deadLetters"] == 1)
            #expect(shown == "")
            let again = try await bench.run(bench.job(settings))
            #expect(again.state == .partial, "it stays a dead letter")
            #expect(again.summary?["counts"]?["missingProducts"] == 0, "and is not forever missing")
        }
        await bench.close()
        server.stop()
    }

    /// Dots reach into documents; missing and null are told apart; what is missing gives what the mapping says.
    @Test func pathsReachIntoDocuments() async throws {
        let server = try MongoStandIn()
        func document(_ number: Int, _ fill: (inout BSONWriter) -> Void) -> [UInt8] {
            BSONWriter.document { writer in
                writer.append("_id", objectID: ShopDocuments.id(number))
                fill(&writer)
            }
        }
        try server.load(
            "products",
            [
                document(1) { writer in
                    writer.append(
                        "stock",
                        document: { stock in
                            stock.append("onHand", int32: 5)
                            stock.append("place", document: { $0.append("city", string: "Köln") })
                        }
                    )
                },
                document(2) { $0.append("stock", document: { $0.appendNull("onHand") }) },
                document(3) { _ in },
                document(4) { $0.append("stock", string: "no document") },
            ]
        )
        let mapping = """
            columns:
              onhand: {source: stock.onHand, missing: 0}
              city: stock.place.city
              whole: stock
            """
        let bench = try await SyncBench.make(
            table: "CREATE TABLE product (id text PRIMARY KEY, onhand int, city text, whole jsonb)",
            source: server.url
        )
        let settings = ProductSyncSettings(mapping: try SyncMapping(yaml: mapping, file: "mapping.yaml"))
        let run = try await bench.run(bench.job(settings), RunOptions(verify: true))
        #expect(run.state == .succeeded, "\(String(describing: run.error))")
        let shown = try TestPostgres.shared().psql(bench.url, "SELECT onhand, city, whole FROM product ORDER BY id")
        #expect(
            shown == """
                5|Köln|{"place": {"city": "Köln"}, "onHand": 5}
                ||{"onHand": null}
                0||
                0||"no document"

                """
        )
        await bench.close()
        server.stop()
    }
}
