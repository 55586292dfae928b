package import Foundation
import Runtime

/// Writes what the source gave as lines of bronze, every number's digits kept.
package struct BronzeRecords: Sendable {
    let batch: UUID
    let ingested: String

    /// `ingested` is the instant before the page was asked for: what changes later comes with a later one.
    package init(batch: UUID, ingestedAt: Date) {
        self.batch = batch
        ingested = Self.text(ingestedAt)
    }

    /// ISO 8601 in UTC with microseconds.
    static func text(_ date: Date) -> String {
        let micros = Int64((date.timeIntervalSince1970 * 1_000_000).rounded())
        let seconds = micros >= 0 ? micros / 1_000_000 : (micros - 999_999) / 1_000_000
        let whole = Date(timeIntervalSince1970: TimeInterval(seconds)).formatted(
            Date.ISO8601FormatStyle(timeZone: .gmt)
        )
        let fraction = String(micros - seconds * 1_000_000)
        return whole.dropLast() + "." + String(repeating: "0", count: 6 - fraction.count) + fraction + "Z"
    }

    private var stamp: [UInt8] {
        Array(",\"_ingestion_ts\":\"\(ingested)\",\"_batch_id\":\"\(batch.uuidString.lowercased())\"}\n".utf8)
    }

    /// A customer or product as it came, with its stamp; what is no object is kept under `_raw`.
    func line(_ bytes: borrowing Span<UInt8>, _ item: JSONToken) -> [UInt8] {
        var out: [UInt8] = []
        if item.kind == .object {
            JSONText.appendCompact(bytes, item, to: &out)
            out.removeLast()
            if out.count == 1 { out += Array("\"_raw\":null".utf8) }
        } else {
            out += Array("{\"_raw\":".utf8)
            JSONText.appendCompact(bytes, item, to: &out)
        }
        return out + stamp
    }

    /// The lines that one answer of `/sales` becomes: headers, and lines of sales. nil when it is no such answer.
    package func sales(answer: [UInt8]) -> (headers: [String], lines: [String])? {
        guard let page = try? SourcePage(answer) else { return nil }
        let sales = page.items.map { sale(page.body.span, $0) }
        return (
            sales.map { String(decoding: $0.header, as: UTF8.self) },
            sales.flatMap { $0.lines.map { String(decoding: $0, as: UTF8.self) } }
        )
    }

    /// A sale's header, and its lines numbered by what they say and not by the order of the answer.
    func sale(_ bytes: borrowing Span<UInt8>, _ item: JSONToken) -> (header: [UInt8], lines: [[UInt8]]) {
        let sale = RecordMembers(bytes, item)
        guard item.kind == .object else { return (line(bytes, item), []) }
        var header = Array("{".utf8)
        for name in ["id", "datetime", "total_amount", "customer_id"] {
            if let value = sale[name] { Self.member(name, bytes, value, to: &header) }
        }
        for name in sale.names(besides: Self.headerNames) {
            if let value = sale[name] { Self.member(name, bytes, value, to: &header) }
        }
        var lines: [[UInt8]] = []
        if let items = sale["items"], items.kind == .array {
            lines = sorted(bytes, items).enumerated().map { index, body in
                var out = Array("{".utf8)
                if let id = sale["id"] { Self.member("sale_id", bytes, id, to: &out) }
                if out.count > 1 { out.append(UInt8(ascii: ",")) }
                out += Array("\"line_no\":\(index + 1)".utf8)
                return out + body + stamp
            }
            if header.count > 1 { header.append(UInt8(ascii: ",")) }
            header += Array("\"_line_count\":\(lines.count)".utf8)
        } else if let items = sale["items"], items.kind != .null {
            // No lines can be made of it: silver sets the header aside for its `_line_count`.
            Self.member("_line_count", bytes, items, to: &header)
        }
        if header.count == 1 { header += Array("\"_raw\":null".utf8) }
        return (header + stamp, lines)
    }

    /// What a header says otherwise or we add; a member of that name would say it twice.
    private static let headerNames: Set = [
        "id", "datetime", "total_amount", "customer_id", "items", "_line_count", "_raw", "_ingestion_ts", "_batch_id",
    ]
    private static let lineNames: Set = [
        "product_sku", "quantity", "amount", "sale_id", "line_no", "_raw", "_ingestion_ts", "_batch_id",
    ]

    /// The lines' members as text, in an order that depends on nothing but them; members that silver does not know
    /// stand behind those it does.
    ///
    /// An element that is no object, or has none of the members of a line, is kept under `_raw`: silver sets it aside
    /// (INV-5).
    private func sorted(_ bytes: borrowing Span<UInt8>, _ items: JSONToken) -> [[UInt8]] {
        var tokens: [JSONToken] = []
        var index = items.start
        try? JSONScan.elements(bytes, &index) { element throws(JSONFlaw) in tokens.append(element) }
        var bodies: [[UInt8]] = []
        for token in tokens {
            let line = RecordMembers(bytes, token)
            let known = ["product_sku", "quantity", "amount"].filter { line[$0] != nil }
            var body: [UInt8] = [UInt8(ascii: ",")]
            if known.isEmpty {
                Self.member("_raw", bytes, token, to: &body)
            } else {
                for name in known + line.names(besides: Self.lineNames) {
                    if let value = line[name] { Self.member(name, bytes, value, to: &body) }
                }
            }
            bodies.append(body)
        }
        return bodies.sorted { $0.lexicographicallyPrecedes($1) }
    }

    private static func member(
        _ name: String,
        _ bytes: borrowing Span<UInt8>,
        _ value: JSONToken,
        to out: inout [UInt8]
    ) {
        if out.count > 1 { out.append(UInt8(ascii: ",")) }
        out += Array(JSONValue.string(name).text.utf8)
        out.append(UInt8(ascii: ":"))
        JSONText.appendCompact(bytes, value, to: &out)
    }
}
