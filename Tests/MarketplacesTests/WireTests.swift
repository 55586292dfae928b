import Foundation
import Runtime
import TestKit
import Testing

@testable import Marketplaces

/// What vendors send, byte by byte.
@Suite struct WireTests {
    /// Made with Python's gzip, level 9: dynamic Huffman codes.
    private static let packed = """
        H4sIAAAAAAACAy3SMU5EMQxAwZo9BRdA2tjxT/4ZKBHnQNqG64M86fyqjGK/fn7fn29fn98fz8frfx49r56j5zE7siNGxxS7ozqy
        Oq6OGR1L3B27o66Ou+NKbwKsIzgEhgGxIQbFTTEwTmAgDYzBNDgCaoAE1SBJrCCZXEFSXEFS529ILq4gWSiBsliCZbMEy80SxyJQ
        uJJkcCVJcCVJciVJciXJPEsjKa4kKa4kubiSZKEkymKZLJtlstws81gEygCbZz1gEyXAJkqec0JJsIkywSZKgRVKgRXKBVYoi6VY
        NkuxbJZiuVnq3KxAGWCFMs6ho0Q9/gAHAQ38NgMAAA==
        """

    private static var expected: String { (0..<60).map { "row \($0)\tSKU-\($0 * 7 % 97)\n" }.joined() }

    private func inflate(_ bytes: [UInt8], pieces: Int) throws -> [UInt8] {
        var rest = bytes[...]
        var out: [UInt8] = []
        var inflate = Inflate {
            defer { rest = rest.dropFirst(pieces) }
            return Array(rest.prefix(pieces))
        }
        try inflate.run { out += $0 }
        return out
    }

    @Test(arguments: [1, 3, 7, 4_096])
    func gzipIsUnpackedHoweverItArrives(pieces: Int) throws {
        let joined = Self.packed.filter { !$0.isWhitespace }
        let bytes = Array(try #require(Data(base64Encoded: joined)))
        #expect(String(decoding: try inflate(bytes, pieces: pieces), as: UTF8.self) == Self.expected)
    }

    @Test func storedBlocksOfSeveralPiecesAreUnpacked() throws {
        let bytes = (0..<200_000).map { UInt8(truncatingIfNeeded: $0 &* 31 >> 3) }
        #expect(try inflate(MockGzip.wrap(bytes), pieces: 1_000) == bytes)
        #expect(try inflate(MockGzip.wrap([]), pieces: 1_000) == [])
    }

    /// Every cut and every changed byte is noticed, if not by the code then by the checksum.
    @Test func damageIsNoticed() throws {
        let joined = Self.packed.filter { !$0.isWhitespace }
        let bytes = Array(try #require(Data(base64Encoded: joined)))
        for end in stride(from: 0, to: bytes.count, by: 17) {
            #expect(throws: TallyError.self, "cut at \(end)") { try inflate(Array(bytes[..<end]), pieces: 64) }
        }
        for place in stride(from: 12, to: bytes.count, by: 13) {
            var changed = bytes
            changed[place] ^= 0x10
            #expect(throws: TallyError.self, "changed at \(place)") { try inflate(changed, pieces: 64) }
        }
    }

    @Test(arguments: [
        ("12.50", "12.5"), ("0.1", "0.1"), ("-3", "-3"), ("1599.90", "1599.9"),
        (
            "123456789012345678.12345678901",
            "123456789012345678.12345678901"
        ), ("1e2", "100"), ("10", "10"),
    ])
    func amountsStayExact(text: String, expected: String) throws {
        #expect(try Money.decimal(text).exactText == expected)
    }

    @Test(arguments: ["", "abc", "1,5", "NaN", "1.2.3", "--1", "0x10", " 1", "1e999", "Infinity"])
    func whatIsNoAmountIsRefused(text: String) {
        #expect(throws: TallyError.self) { try Money.decimal(text) }
    }

    @Test(arguments: [
        #"{"amount":"1.00"}"#, #"{"amount":"1.00","currencyCode":""}"#,
        #"{"amount":"1.00","currencyCode":"eur"}"#, #"{"currencyCode":"EUR"}"#,
    ])
    func anAmountWithoutCurrencyIsRefused(json: String) throws {
        let parsed = try WireJSON(parsing: Array(json.utf8))
        #expect(throws: TallyError.self) { try Money(parsed) }
    }

    @Test func numbersAreNeverRead() throws {
        let json = try WireJSON(parsing: Array(#"{"currencyAmount":0.10000000000000000555,"currencyCode":"USD"}"#.utf8))
        #expect(try Money(json).amount.exactText == "0.10000000000000000555")
    }

    @Test(arguments: [
        "", "{", "[1,]", "{\"a\":1,}", "nul", "01x", "\"\u{1}\"", "<html>502</html>", "{\"data\":{\"ord", "1 2",
        "\"\\x\"",
    ])
    func whatIsNoJSONIsRetriedNotBelieved(text: String) {
        #expect { try WireJSON(parsing: Array(text.utf8)) } throws: {
            ($0 as? TallyError)?.kind == .sourceUnreachable
        }
    }

    @Test(arguments: [
        ("2026-01-15T10:30:00Z", 1_768_473_000.0), ("2019-08-01T00:00-07:00", 1_564_642_800),
        ("2026-01-15T10:30:00.250+01:00", 1_768_469_400.25), ("2026-01-15", 1_768_435_200),
        ("2008-01-10T11:00:00-05:00", 1_199_980_800),
    ])
    func instantsOfBothVendors(text: String, seconds: Double) throws {
        #expect(try WireTime.parse(text).timeIntervalSince1970 == seconds)
    }

    @Test func daysBeginInTheShopsZone() throws {
        var days = DayBuckets(zone: try #require(TimeZone(identifier: "Asia/Tokyo")))
        let late = try WireTime.parse("2026-03-01T14:59:59Z")
        #expect(days.day(of: late) == (try WireTime.parse("2026-02-28T15:00:00Z")))
        #expect(days.day(of: late.addingTimeInterval(1)) == (try WireTime.parse("2026-03-01T15:00:00Z")))
    }

    /// Property: instants written by hand are those of Foundation's formatter, and are read back as they were.
    @Test(arguments: SeededGenerator.seeds(4))
    func instantsAreWrittenAsFoundationWritesThem(seed: UInt64) throws {
        var random = SeededGenerator(seed: seed)
        let whole = Date.ISO8601FormatStyle(includingFractionalSeconds: false)
        for _ in 0..<500 {
            // From the year 1600 to 2599: leap days of every kind, and instants before 1970.
            let millis = Int64.random(in: -11_676_096_000_000...19_880_899_200_000, using: &random)
            let seconds = Date(timeIntervalSince1970: (Double(millis) / 1_000).rounded(.down))
            #expect(WireTime.text(seconds) == whole.format(seconds), "\(random)")
            let date = Date(timeIntervalSince1970: Double(millis) / 1_000)
            #expect(WireTime.text(microseconds: millis * 1_000, places: 3) == WireTime.text(date), "\(random)")
            let again = try WireTime.parse(WireTime.text(date))
            #expect(abs(again.timeIntervalSince(date)) < 0.000_1, "\(random)")
            #expect(WireTime.text(date).hasPrefix(whole.format(seconds).dropLast()), "\(random)")
        }
        #expect(WireTime.text(microseconds: 1_772_366_400_000_042, places: 6) == "2026-03-01T12:00:00.000042Z")
        #expect(WireTime.text(microseconds: -1, places: 6) == "1969-12-31T23:59:59.999999Z")
        #expect(WireTime.text(microseconds: 951_782_400_000_000, places: 6) == "2000-02-29T00:00:00Z")
    }

    /// Property: a day is the calendar's, in whatever order instants come; zones whose clocks change at midnight too.
    @Test(arguments: ["Europe/Berlin", "America/Sao_Paulo", "Africa/Cairo", "Australia/Lord_Howe", "Asia/Kolkata"])
    func daysAreTheCalendars(zone: String) throws {
        var random = SeededGenerator(seed: 7)
        var calendar = Calendar(identifier: .gregorian)
        calendar.timeZone = try #require(TimeZone(identifier: zone))
        var days = DayBuckets(zone: calendar.timeZone)
        for _ in 0..<2_000 {
            // 2017: Brazil's clocks were put forward at midnight.
            let date = Date(timeIntervalSince1970: Double.random(in: 1_483_228_800...1_514_764_800, using: &random))
            for step in [0, 3_600, 7_200, -1_800.0] {
                let instant = date.addingTimeInterval(step)
                #expect(days.day(of: instant) == calendar.startOfDay(for: instant), "\(zone) \(instant)")
            }
        }
    }
}
