import Foundation
import HTTPClient
import TestKit
import Testing

/// Dates of HTTP headers.
@Suite struct HTTPDateTests {
    @Test(arguments: [
        ("Sun, 06 Nov 1994 08:49:37 GMT", 784_111_777.0), ("Thu, 01 Jan 1970 00:00:00 GMT", 0),
        ("Thu, 29 Feb 2024 23:59:59 GMT", 1_709_251_199), ("Tue, 29 Feb 2000 00:00:00 GMT", 951_782_400),
        ("Fri, 31 Dec 2100 12:00:00 GMT", 4_133_937_600),
    ])
    func knownDates(text: String, seconds: Double) throws {
        let date = try #require(HTTPDate.parse(text))
        #expect(date.timeIntervalSince1970 == seconds)
        #expect(HTTPDate.text(date) == text)
    }

    @Test(arguments: [
        "", "Sunday, 06-Nov-94 08:49:37 GMT", "Sun, 6 Nov 1994 08:49:37 GMT", "Sun, 06 Nov 1994 08:49:37 CET",
        "Sun, 06 Nov 1994 24:00:00 GMT", "Sun, 30 Feb 2024 00:00:00 GMT", "Thu, 29 Feb 2023 00:00:00 GMT",
        "Sun, 00 Nov 1994 08:49:37 GMT", "Sun, 06 nov 1994 08:49:37 GMT", "Sun, 06 Nov 1994 08:4a:37 GMT",
        "Sun, 06 Nov 1994 08:49:37 GMT ", "Sun,  06 Nov 1994 08:49:37 GMT", "Sun, 06 Nov 199₄ 08:49:37 GMT",
    ])
    func anythingElseIsNone(text: String) { #expect(HTTPDate.parse(text) == nil) }

    /// Property: what is written is read again, over four centuries.
    @Test(arguments: SeededGenerator.seeds(200))
    func writingAndReadingAreInverse(seed: UInt64) {
        var random = SeededGenerator(seed: seed)
        for _ in 0..<20 {
            let date = Date(timeIntervalSince1970: Double(Int.random(in: 0...13_000_000_000, using: &random)))
            #expect(HTTPDate.parse(HTTPDate.text(date)) == date, "\(random) \(date.timeIntervalSince1970)")
        }
    }

    /// The server's clock counts, not ours: it may differ by hours.
    @Test func aPauseUntilADateIsCountedFromTheServersClock() {
        let until = "Sun, 06 Nov 1994 08:50:37 GMT"
        let dated = OutboundResponse(
            status: 429,
            headers: ["Retry-After": until, "Date": "Sun, 06 Nov 1994 08:49:37 GMT"]
        )
        let ours = Date(timeIntervalSince1970: 784_111_777 + 7_200)
        #expect(dated.retryAfter(now: ours) == .seconds(60))
        let undated = OutboundResponse(status: 429, headers: ["Retry-After": until])
        #expect(undated.retryAfter(now: ours) == .zero)
        #expect(undated.retryAfter(now: ours.addingTimeInterval(-7_200)) == .seconds(60))
        #expect(OutboundResponse(status: 429, headers: ["Retry-After": "soon"]).retryAfter(now: ours) == nil)
    }
}
