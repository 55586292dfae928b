import API
import Testing

@Suite struct BrowserGuardTests {
    @Test(arguments: ["localhost", "localhost:4000", "LOCALHOST", "127.0.0.1:4000", "127.9.8.7", "[::1]", "[::1]:4000"])
    func loopbackNames(host: String) {
        #expect(BrowserGuard.isLoopback(host: host))
    }

    @Test(arguments: [
        nil, "", "evil.example", "localhost.evil.example", "127.0.0.1.evil.example", "127.0.0", "128.0.0.1",
        "[::2]", "[::1", "[::1]x", "localhost:", "localhost:99999", "localhost:4000:1", "::1", "127.0.0.256",
    ])
    func everythingElseIsNot(host: String?) {
        #expect(!BrowserGuard.isLoopback(host: host))
    }

    @Test func originIsComparedWithHost() {
        let guarding = BrowserGuard(corsOrigins: ["https://ops.example.com"])
        let host = "localhost:4000"
        #expect(guarding.verdict(origin: "http://localhost:4000", fetchSite: nil, host: host) == .ownSite)
        #expect(guarding.verdict(origin: "https://ops.example.com", fetchSite: "cross-site", host: host) == .ownSite)
        #expect(guarding.verdict(origin: "http://localhost:4001", fetchSite: nil, host: host) == .otherSite)
        #expect(guarding.verdict(origin: "null", fetchSite: "same-origin", host: host) == .otherSite)
        #expect(guarding.verdict(origin: "http://evil.example", fetchSite: nil, host: nil) == .otherSite)
        #expect(guarding.verdict(origin: "http://shop.example:80", fetchSite: nil, host: "shop.example") == .ownSite)
    }

    @Test func fetchMetadataDecidesWithoutAnOrigin() {
        let guarding = BrowserGuard(corsOrigins: [])
        #expect(guarding.verdict(origin: nil, fetchSite: "same-origin", host: "h") == .ownSite)
        #expect(guarding.verdict(origin: nil, fetchSite: "none", host: "h") == .unknown)
        #expect(guarding.verdict(origin: nil, fetchSite: nil, host: "h") == .unknown)
        #expect(guarding.verdict(origin: nil, fetchSite: "same-site", host: "h") == .otherSite)
        #expect(guarding.verdict(origin: nil, fetchSite: "cross-site", host: "h") == .otherSite)
    }
}
