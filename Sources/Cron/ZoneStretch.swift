import Foundation

/// A stretch of time in which a zone's offset from UTC does not change. Instants are minutes since 1970 in UTC.
struct ZoneStretch {
    /// More than any clock was ever moved by at once.
    static let longestShift = 1_500

    let offset: Int
    /// Its first minute; nil where the change before it lies further back than was looked.
    private(set) var start: Int?
    /// The first minute after it.
    let end: Int?
    /// The local minutes that the clock skipped when it began.
    private(set) var skipped = 0..<0
    /// The local minutes at its beginning that the clock had shown before.
    private(set) var repeated = 0..<0

    /// - Parameter lookBack: how many minutes before `minute` to look for the change that began it; 0 does not look.
    init(at minute: Int, in zone: TimeZone, lookBack: Int) {
        offset = Self.offset(at: minute, in: zone)
        end = Self.change(after: minute, in: zone)
        guard lookBack > 0 else { return }
        var change = Self.change(after: minute - lookBack - 1, in: zone)
        while let found = change, found <= minute {
            start = found
            change = Self.change(after: found, in: zone)
        }
        guard let start else { return }
        let before = Self.offset(at: start - 1, in: zone)
        if before < offset { skipped = start + before..<start + offset }
        if before > offset { repeated = start + offset..<start + before }
    }

    private static func offset(at minute: Int, in zone: TimeZone) -> Int {
        zone.secondsFromGMT(for: Date(timeIntervalSince1970: Double(minute) * 60)) / 60
    }

    private static func change(after minute: Int, in zone: TimeZone) -> Int? {
        let change = zone.nextDaylightSavingTimeTransition(after: Date(timeIntervalSince1970: Double(minute) * 60))
        return change.map { Int(($0.timeIntervalSince1970 / 60).rounded(.up)) }
    }
}
