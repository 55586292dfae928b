import Engine
import Postgres
import Runtime

/// A row in COPY's text form that cannot be exported (INV-5).
struct BadRow: Sendable {
    let plan: ExportPlan
    let bytes: ArraySlice<UInt8>

    /// The conflict columns' values as a cast to text gives them, with commas between, as a letter keeps them.
    var key: String {
        let fields = CopyText.fields(bytes)
        let values = plan.keyColumns.map { name in
            guard let index = plan.columns.firstIndex(where: { $0.target == name }), index < fields.count else {
                return ""
            }
            return Self.cast(FieldText.copied(fields[index]) ?? "", plan.columns[index].oid)
        }
        return DeadLetter.kept(values.joined(separator: ","))
    }

    /// COPY's text of a value as the server's cast to text has it, which statements find the row by.
    private static func cast(_ text: String, _ oid: UInt32) -> String {
        switch oid {
        case 16: text == "t" ? "true" : text == "f" ? "false" : text
        // Blanks at the end of a `char(n)` are no part of its value.
        case 1042: String(text.reversed().drop { $0 == " " }.reversed())
        default: text
        }
    }

    func letter(_ error: TallyError) -> DeadLetter {
        let fields = CopyText.fields(bytes)
        let values = zip(plan.columns, fields).map { column, field in
            (column.target, FieldText.copied(field).map { JSONValue.string($0) } ?? .null)
        }
        return DeadLetter(
            key: key,
            reason: error.summary,
            kind: error.kind.rawValue,
            columns: [error.serverError?.columnName].compactMap { $0 },
            fingerprint: Self.digest(bytes),
            payload: .object(Dictionary(values, uniquingKeysWith: { first, _ in first }))
        )
    }

    /// FNV-1a: tells one refused row from the next, no more.
    static func digest(_ bytes: some Sequence<UInt8>) -> [UInt8] {
        var hash: UInt64 = 0xCBF2_9CE4_8422_2325
        for byte in bytes { hash = (hash ^ UInt64(byte)) &* 0x100_0000_01B3 }
        return (0..<8).map { UInt8(truncatingIfNeeded: hash >> (56 - 8 * $0)) }
    }
}
