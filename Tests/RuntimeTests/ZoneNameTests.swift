import Foundation
import Runtime
import Testing

struct ZoneNameTests {
    @Test(arguments: ["UTC", "Etc/UTC", "GMT", "Etc/GMT"])
    func utcByAnyOfItsNamesIsOneZone(name: String) throws {
        let zone = try #require(TimeZone(named: name))
        #expect(zone == .gmt)
        #expect(zone.name == "UTC")
        #expect(zone.secondsFromGMT(for: Date(timeIntervalSince1970: 1_750_000_000)) == 0)
        #expect(zone.nextDaylightSavingTimeTransition(after: .distantPast) == nil)
    }

    @Test(arguments: ["Europe/Berlin", "America/Los_Angeles", "Asia/Kolkata"])
    func everyOtherZoneIsFoundations(name: String) throws {
        let zone = try #require(TimeZone(named: name))
        #expect(zone == TimeZone(identifier: name))
        #expect(zone.name == name)
    }

    @Test(arguments: ["", "Europe/Bonn", "utc+x"])
    func whatIsNoZoneIsRefused(name: String) {
        #expect(TimeZone(named: name) == nil)
    }
}
