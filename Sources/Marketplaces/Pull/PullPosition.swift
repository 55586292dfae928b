import Engine
import Foundation
import Runtime

/// A watermark as a pull uses it: the instant everything before was read, and a read that was cut short.
struct PullPosition {
    /// A window that was under way: its frozen ends, the page it got to and when it began.
    struct Cut: Equatable {
        let since: Date?
        let until: Date
        let cursor: String
        let began: Date
    }

    let instant: Date?
    let cut: Cut?

    init(_ watermark: Watermark?) {
        instant = watermark?.instant
        guard let value = watermark?.value, let cursor = watermark?.id else {
            cut = nil
            return
        }
        let parts = value.split(separator: "|", omittingEmptySubsequences: false).map(String.init)
        // The cut belongs to the position it was made at: one that an operator moved since then is void.
        guard parts.count == 4, parts[0] == Self.text(instant), let until = WireTime.instant(parts[2]),
            let began = WireTime.instant(parts[3])
        else {
            cut = nil
            return
        }
        cut = Cut(since: WireTime.instant(parts[1]), until: until, cursor: cursor, began: began)
    }

    /// The watermark that says so.
    static func watermark(at instant: Date?, cut: Cut?) -> Watermark {
        guard let cut else { return Watermark(instant: instant) }
        let value = [text(instant), text(cut.since), text(cut.until), text(cut.began)].joined(separator: "|")
        return Watermark(instant: instant, value: value, id: cut.cursor)
    }

    private static func text(_ date: Date?) -> String { date.map { WireTime.text($0) } ?? "-" }
}

extension Duration {
    var inSeconds: Double { Double(components.seconds) + Double(components.attoseconds) / 1e18 }
    static func hours(_ count: Int) -> Duration { .seconds(count * 3_600) }
    static func days(_ count: Int) -> Duration { .seconds(count * 86_400) }
}

extension Date {
    /// The whole second it falls in.
    var toSecond: Date { Date(timeIntervalSince1970: timeIntervalSince1970.rounded(.down)) }
}
