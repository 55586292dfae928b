import Runtime

/// Why a record is no row: words and column names, never a value.
package struct RecordRejection: Error, Equatable {
    package let reason: String
    package let columns: [String]
}

/// Turns one record's JSON into one COPY BINARY tuple of its entity's staging table.
///
/// Not to be used from two tasks. Tells whether the keys rose all along, so that the keys cannot repeat.
package struct RecordEncoder {
    let plan: SilverPlan
    private var found: [JSONToken?]
    private var isRaw = false
    /// Whether each record's key was above the one before; never for keys of text.
    package private(set) var keysRise = true
    private var lastKey: (Int64, Int64)?

    package init(_ entity: BronzeEntity) {
        plan = SilverPlan.of(entity)
        found = Array(repeating: nil, count: plan.columns.count)
    }

    /// Appends the record's tuple with its line number behind the columns; `out` is as before when it throws.
    package mutating func append(_ line: borrowing Span<UInt8>, number: Int64, to out: inout [UInt8])
        throws(RecordRejection)
    {
        do throws(JSONFlaw) {
            try scan(line)
        } catch {
            throw RecordRejection(reason: "the line is no JSON object: \(error.reason.rawValue)", columns: [])
        }
        // Bronze keeps under this name what it could make no record of (INV-5).
        guard !isRaw else { throw RecordRejection(reason: "the source gave something else", columns: ["_raw"]) }
        let start = out.count
        do throws(RecordRejection) {
            appendBig(UInt16(plan.columns.count + 1), to: &out)
            for index in plan.columns.indices { try field(line, index, to: &out) }
        } catch {
            out.removeSubrange(start...)
            throw error
        }
        appendBig(UInt32(8), to: &out)
        appendBig(UInt64(bitPattern: number), to: &out)
        if keysRise { follow(line) }
    }

    private mutating func scan(_ line: borrowing Span<UInt8>) throws(JSONFlaw) {
        for index in found.indices { found[index] = nil }
        var index = 0
        var tokens = found
        let columns = plan.columns
        while index < line.count, line[index] == 0x20 { index += 1 }
        guard index < line.count, line[index] == UInt8(ascii: "{") else {
            throw JSONFlaw(reason: .notObject, offset: 0)
        }
        // A span cannot be captured by a closure: members come as positions and are matched afterwards.
        var pairs: [(JSONToken, JSONToken)] = []
        pairs.reserveCapacity(columns.count + 2)
        try JSONScan.members(line, &index) { (key, value) throws(JSONFlaw) in pairs.append((key, value)) }
        try JSONScan.end(line, &index)
        isRaw = false
        for (key, value) in pairs {
            if let place = Self.column(line, key, columns) {
                tokens[place] = value
            } else if !isRaw {
                isRaw = Self.isRaw(line, key)
            }
        }
        found = tokens
    }

    private static func column(_ line: borrowing Span<UInt8>, _ key: JSONToken, _ columns: [SilverColumn]) -> Int? {
        if key.isEscaped {
            guard let name = JSONText.unescaped(line, key) else { return nil }
            return columns.firstIndex { $0.utf8 == name }
        }
        let count = key.end - key.start - 2
        search: for (place, column) in columns.enumerated() where column.utf8.count == count {
            for offset in 0..<count where column.utf8[offset] != line[key.start + 1 + offset] { continue search }
            return place
        }
        return nil
    }

    /// Bronze writes the name without an escape.
    private static func isRaw(_ line: borrowing Span<UInt8>, _ key: JSONToken) -> Bool {
        guard key.end - key.start == 6, line[key.start + 1] == UInt8(ascii: "_") else { return false }
        return line[key.start + 2] == UInt8(ascii: "r") && line[key.start + 3] == UInt8(ascii: "a")
            && line[key.start + 4] == UInt8(ascii: "w")
    }

    private func field(_ line: borrowing Span<UInt8>, _ index: Int, to out: inout [UInt8]) throws(RecordRejection) {
        let column = plan.columns[index]
        guard let token = found[index], token.kind != .null else {
            guard !column.isRequired else {
                throw RecordRejection(reason: "a column that must be there is missing", columns: [column.name])
            }
            appendBig(UInt32.max, to: &out)
            return
        }
        let length = out.count
        appendBig(UInt32(0), to: &out)
        guard SilverField.append(line, token, column.kind, to: &out) else {
            throw RecordRejection(reason: "a value is no \(column.kind.rawValue)", columns: [column.name])
        }
        let size = UInt32(out.count - length - 4)
        for byte in 0..<4 { out[length + byte] = UInt8(truncatingIfNeeded: size >> UInt32(24 - byte * 8)) }
    }

    /// Only keys of whole numbers are followed; text may sort differently here and there.
    private mutating func follow(_ line: borrowing Span<UInt8>) {
        var parts: [Int64] = []
        for (index, column) in plan.key.enumerated() {
            guard column.kind == .int64 || column.kind == .int32, let token = found[index],
                let value = SilverField.integer(line, token)
            else {
                keysRise = false
                return
            }
            parts.append(value)
        }
        let key = (parts[0], parts.count > 1 ? parts[1] : 0)
        if let lastKey, lastKey >= key { keysRise = false }
        lastKey = key
    }
}

func appendBig(_ value: some FixedWidthInteger & UnsignedInteger, to out: inout [UInt8]) {
    var shift = value.bitWidth
    while shift > 0 {
        shift -= 8
        out.append(UInt8(truncatingIfNeeded: value >> shift))
    }
}
