import Foundation

/// A span of change times, and where in it the reading is.
struct ListingSpan {
    let since: Date?
    let until: Date
    var token: String?

    init(since: Date?, until: Date, token: String? = nil) {
        self.since = since
        self.until = until
        self.token = token
    }

    /// nil when the span is too short to be cut.
    func halves(from beginning: Date) -> [ListingSpan]? {
        let from = since ?? beginning
        let middle = from.addingTimeInterval(until.timeIntervalSince(from) / 2).toSecond
        guard middle > from, middle < until else { return nil }
        // Both bounds are inclusive: the middle second is read twice, which harms nothing.
        return [ListingSpan(since: since, until: middle), ListingSpan(since: middle, until: until)]
    }

    static func text(_ spans: [ListingSpan]) -> String {
        spans.map { span in
            let token = span.token.map { Data($0.utf8).base64EncodedString() } ?? ""
            return "\(span.since.map { WireTime.text($0) } ?? "-")|\(WireTime.text(span.until))|\(token)"
        }
        .joined(separator: ";")
    }

    static func list(_ text: String) -> [ListingSpan] {
        text.split(separator: ";").compactMap { part in
            let fields = part.split(separator: "|", omittingEmptySubsequences: false).map(String.init)
            guard fields.count == 3, let until = WireTime.instant(fields[1]) else { return nil }
            let token = Data(base64Encoded: fields[2]).map { String(decoding: $0, as: UTF8.self) }
            return ListingSpan(
                since: WireTime.instant(fields[0]),
                until: until,
                token: token.flatMap { $0.isEmpty ? nil : $0 }
            )
        }
    }
}
