import Foundation
import Mongo
import Testing

@Suite struct BSONExtJSONTests {
    private func json(_ fill: (inout BSONBuilder) -> Void) throws -> String {
        let document = bson(fill)
        let element = try #require(try document.element("v"))
        var out: [UInt8] = []
        try BSONExtJSON.append(element, of: document.bytes.span, to: &out)
        return String(decoding: out, as: UTF8.self)
    }

    @Test(arguments: [
        (0.0, "0"), (-0.0, "0"), (1, "1"), (-17, "-17"), (19.99, "19.99"), (0.1, "0.1"), (1e15, "1000000000000000"),
        (1e16, "1e+16"), (1e22, "1e+22"), (1.5e300, "1.5e+300"), (.leastNonzeroMagnitude, "5e-324"), (1e-5, "1e-05"),
        (123_456_789_012_345.0, "123456789012345"), (9_007_199_254_740_992, "9007199254740992"),
        (.nan, "\"NaN\""), (.infinity, "\"Infinity\""), (-.infinity, "\"-Infinity\""),
    ])
    func doubles(value: Double, text: String) throws {
        #expect(try json { $0.append("v", double: value) } == text)
    }

    @Test(arguments: 1...200)
    func doublesReadBackExactly(seed: UInt64) throws {
        var random = Seeded(seed)
        for _ in 0..<50 {
            let value = Double(bitPattern: random.next())
            guard value.isFinite else { continue }
            let text = try json { $0.append("v", double: value) }
            #expect(Double(text) == value, "seed \(seed)")
            #expect(text.first != "\"" && !text.hasSuffix(".0"))
        }
    }

    @Test(arguments: [Int64.min, -1, 0, 9, 10, 1_000_000, .max])
    func integers(value: Int64) throws {
        #expect(try json { $0.append("v", int64: value) } == "\(value)")
        let small = Int32(truncatingIfNeeded: value)
        #expect(try json { $0.append("v", int32: small) } == "\(small)")
    }

    /// Cases of the BSON corpus (specifications/source/bson-decimal128) and of IEEE 754's edges.
    @Test(
        arguments: [
            (1999, -2, false, "19.99"), (150, -2, false, "1.50"), (0, 0, false, "0"), (0, 0, true, "-0"),
            (0, -3, false, "0.000"),
            (0, 3, false, "0E+3"), (1, 3, false, "1E+3"), (12345, 6111, true, "-1.2345E+6115"),
            (1, -6176, false, "1E-6176"),
            (1, -6, false, "0.000001"), (1, -7, false, "1E-7"), (12, -7, false, "0.0000012"), (5, -1, true, "-0.5"),
            (9_999_999_999_999_999_999_999_999_999_999_999, 6111, false, "9.999999999999999999999999999999999E+6144"),
            (10_000_000_000_000_000_000_000_000_000_000_000, 0, false, "0"),
        ] as [(UInt128, Int, Bool, String)]
    )
    func decimals(coefficient: UInt128, exponent: Int, negative: Bool, text: String) throws {
        let bytes = Samples.decimal128(coefficient, exponent: exponent, negative: negative)
        #expect(try json { $0.append("v", raw: .decimal128, bytes) } == text)
    }

    @Test(
        arguments: [
            (0x7800_0000_0000_0000, "\"Infinity\""), (0xF800_0000_0000_0000, "\"-Infinity\""),
            (0x7C00_0000_0000_0000, "\"NaN\""), (0xFC00_0000_0000_0000, "\"NaN\""), (0x6C10_0000_0000_0000, "0E+3"),
        ] as [(UInt64, String)]
    )
    func decimalsThatAreNoPlainNumber(high: UInt64, text: String) throws {
        let found = try json { $0.append("v", raw: .decimal128, Samples.little(1) + Samples.little(high)) }
        #expect(found == text || (text == "0E+3" && found.hasPrefix("0")), "\(found)")
    }

    @Test(
        arguments: [
            (0, "1970-01-01T00:00:00.000Z"), (-1, "1969-12-31T23:59:59.999Z"),
            (1_709_208_000_123, "2024-02-29T12:00:00.123Z"),
            (951_782_400_000, "2000-02-29T00:00:00.000Z"), (-2_203_891_200_000, "1900-03-01T00:00:00.000Z"),
            (253_402_300_799_999, "9999-12-31T23:59:59.999Z"), (253_402_300_800_000, "253402300800000"),
            (-62_167_219_200_000, "0000-01-01T00:00:00.000Z"), (-62_167_219_200_001, "-62167219200001"),
            (-62_162_035_200_001, "0000-02-29T23:59:59.999Z"), (.max, "9223372036854775807"),
            (.min, "-9223372036854775808"),
        ] as [(Int64, String)]
    )
    func dates(milliseconds: Int64, text: String) throws {
        #expect(try json { $0.append("v", date: milliseconds) } == "\"\(text)\"")
    }

    @Test func datesAgreeWithFoundation() throws {
        var calendar = Calendar(identifier: .iso8601)
        calendar.timeZone = .gmt
        var random = Seeded(20_240_229)
        for _ in 0..<2000 {
            let seconds = Int64.random(in: -11_676_096_000...253_402_300_799, using: &random)
            let parts = calendar.dateComponents(
                [.year, .month, .day, .hour, .minute, .second],
                from: Date(timeIntervalSince1970: Double(seconds))
            )
            let expected = String(
                format: "\"%04d-%02d-%02dT%02d:%02d:%02d.007Z\"",
                parts.year ?? 0,
                parts.month ?? 0,
                parts.day ?? 0,
                parts.hour ?? 0,
                parts.minute ?? 0,
                parts.second ?? 0
            )
            #expect(try json { $0.append("v", date: seconds * 1000 + 7) } == expected)
        }
    }

    @Test func everyOtherType() throws {
        #expect(
            try BSONExtJSON.text(of: Samples.everything) == """
                {"double":19.99,"string":"Schüssel \\"groß\\"","document":{"inner":7},"array":["a",{"b":false}],\
                "binary":"AQIDBA==","oldBinary":"AQIDBA==",\
                "uuid":"10111213-1415-1617-1819-1a1b1c1d1e1f","undefined":null,\
                "_id":"65a1b2c3d4e5f60718293a4b","bool":true,"date":"2024-02-29T12:00:00.123Z","null":null,\
                "regex":{"$regularExpression":{"pattern":"^a.*$","options":"ix"}},\
                "dbPointer":{"$dbPointer":{"$ref":"shop.p","$id":"65a1b2c3d4e5f60718293a4b"}},\
                "code":{"$code":"return 1"},\
                "symbol":"sym","scoped":{"$code":"x + 1","$scope":{"x":1}},"int32":-42,\
                "timestamp":{"$timestamp":{"t":4294967295,"i":5}},"int64":9007199254740993,"decimal":19.99,\
                "min":{"$minKey":1},"max":{"$maxKey":1}}
                """
        )
    }

    @Test func textsAreEscaped() throws {
        let text = "\"\\/\u{8}\u{c}\n\r\t\u{1}\u{1f}\u{7f}\u{2028}€😀"
        let json = try json { $0.append("v", string: text) }
        #expect(json == "\"\\\"\\\\/\\b\\f\\n\\r\\t\\u0001\\u001f\u{7f}\u{2028}€😀\"")
        let back = try JSONSerialization.jsonObject(with: Data("[\(json)]".utf8)) as? [String]
        #expect(back == [text])
    }

    @Test func base64HasItsPadding() throws {
        for count in 0...20 {
            let bytes = (0..<count).map { UInt8(truncatingIfNeeded: $0 * 37 + 200) }
            #expect(
                try json { $0.append("v", binary: bytes, subtype: 5) } == "\"\(Data(bytes).base64EncodedString())\""
            )
        }
    }

    @Test func aUUIDNeedsSixteenBytesAndSubtypeFour() throws {
        #expect(try json { $0.append("v", binary: [1, 2, 3], subtype: 4) } == "\"AQID\"")
        #expect(try json { $0.append("v", binary: Samples.uuid, subtype: 3) } == "\"EBESExQVFhcYGRobHB0eHw==\"")
    }

    @Test func whatJSONBCannotHoldIsRefused() {
        expectMalformed { _ = try json { $0.append("v", string: "a\0b") } }
        expectMalformed { _ = try json { $0.append("v", raw: .string, [3, 0, 0, 0, 0xC3, 0x28, 0]) } }
        expectMalformed { _ = try json { $0.append("v", raw: .string, [4, 0, 0, 0, 0xED, 0xA0, 0x80, 0]) } }
        expectMalformed {
            _ = try json { doc in
                doc.append(
                    "v",
                    document: BSONDocument(bytes: [10, 0, 0, 0, 10, 0xFF, 0xFE, 0, 0, 0].replacingLength())
                )
            }
        }
    }

    @Test func nestingHasACeiling() throws {
        func nested(_ depth: Int) -> BSONDocument {
            (0..<depth).reduce(BSONDocument.empty) { inner, _ in bson { $0.append("v", document: inner) } }
        }
        let deepest = try BSONExtJSON.text(of: nested(BSONExtJSON.depthMax - 1))
        #expect(deepest.count { $0 == "{" } == BSONExtJSON.depthMax)
        expectMalformed { _ = try BSONExtJSON.text(of: nested(BSONExtJSON.depthMax)) }
        expectMalformed { _ = try BSONExtJSON.text(of: nested(20_000)) }
    }
}

extension [UInt8] {
    fileprivate func replacingLength() -> [UInt8] {
        var bytes = self
        bytes[0] = UInt8(count)
        return bytes
    }
}
