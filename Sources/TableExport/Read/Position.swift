import Engine
import Foundation
import Postgres
import Runtime

/// How far a source was read: the cursor's value and, where there is one, the id, as SQL text of their types.
struct Position: Sendable, Equatable {
    let cursor: String
    let id: String?

    init(cursor: String, id: String?) {
        self.cursor = cursor
        self.id = id
    }

    /// For people.
    var text: String { [cursor, id].compactMap { $0 }.joined(separator: ", ") }

    /// The position that a watermark holds; nil when it holds none.
    init?(_ watermark: Watermark?, type: CursorType) {
        guard let watermark else { return nil }
        id = watermark.id
        if let value = watermark.value {
            cursor = value
        } else if let instant = watermark.instant {
            let micros = PGMicros.of(instant)
            let text = TimeText.timestamp(micros: micros, suffix: type == .timestamptz ? "+00" : "")
            cursor = type == .date ? String(text.prefix(10)) : text
        } else {
            return nil
        }
    }

    /// The watermark of this position: an instant where that keeps every digit, else the text.
    func watermark(type: CursorType, snapshot: SnapshotMark?) -> Watermark {
        if type.isTime, let micros = TimeText.micros(cursor) {
            let instant = PGMicros.date(micros)
            if PGMicros.of(instant) == micros {
                return Watermark(instant: instant, id: id, snapshot: snapshot?.text)
            }
        }
        return Watermark(value: cursor, id: id, snapshot: snapshot?.text)
    }

    /// The position of the last of `rows`.
    init(lastOf rows: PGCopyChunk, plan: ExportPlan) throws {
        guard let start = rows.rowStarts.last else {
            throw TallyError(.protocolViolation, during: "export.read", "a batch without rows has no position")
        }
        let row = rows.bytes[Int(start)...]
        let wanted = [plan.cursor, plan.id].compactMap { $0 }
        let texts = try plan.format == .binary ? Self.binary(row, wanted) : Self.text(row, wanted)
        guard let value = texts.first ?? nil else {
            throw TallyError(.protocolViolation, during: "export.read", "a row came without its cursor")
        }
        cursor = value
        id = texts.count > 1 ? texts[1] : nil
    }

    private static func text(_ row: ArraySlice<UInt8>, _ wanted: [OrderColumn]) throws -> [String?] {
        let fields = CopyText.fields(row)
        return try wanted.map { column in
            guard column.field < fields.count else {
                throw TallyError(.protocolViolation, during: "export.read", "a row has fewer fields than its plan")
            }
            return FieldText.copied(fields[column.field])
        }
    }

    private static func binary(_ row: ArraySlice<UInt8>, _ wanted: [OrderColumn]) throws -> [String?] {
        var found: [String?] = Array(repeating: nil, count: wanted.count)
        var at = row.startIndex + 2
        let last = wanted.map(\.field).max() ?? 0
        for index in 0...last {
            guard at + 4 <= row.endIndex else {
                throw TallyError(.protocolViolation, during: "export.read", "a row has fewer fields than its plan")
            }
            let length = row[at..<at + 4].reduce(Int32(0)) { $0 << 8 | Int32($1) }
            at += 4
            guard length >= 0 else { continue }
            guard at + Int(length) <= row.endIndex else {
                throw TallyError(.protocolViolation, during: "export.read", "a field is longer than its row")
            }
            for (slot, column) in wanted.enumerated() where column.field == index {
                found[slot] = try FieldText.binary(row[at..<at + Int(length)], oid: column.oid)
            }
            at += Int(length)
        }
        return found
    }
}

/// Microseconds since 2000-01-01 UTC, PostgreSQL's own count, and Foundation's dates.
enum PGMicros {
    static func of(_ date: Date) -> Int64 {
        Int64(((date.timeIntervalSince1970 - 946_684_800) * 1_000_000).rounded())
    }

    static func date(_ micros: Int64) -> Date {
        Date(timeIntervalSince1970: Double(micros) / 1_000_000 + 946_684_800)
    }
}
