/// One JSON value as the binary form of a column's type.
enum SilverField {
    /// Appends the value's bytes without their length; false when it is none of that type.
    static func append(
        _ line: borrowing Span<UInt8>,
        _ token: JSONToken,
        _ kind: SilverColumn.Kind,
        to out: inout [UInt8]
    ) -> Bool {
        switch kind {
        case .text: return text(line, token, to: &out)
        case .int64:
            guard let value = integer(line, token) else { return false }
            appendBig(UInt64(bitPattern: value), to: &out)
            return true
        case .int32:
            guard let value = integer(line, token).flatMap({ Int32(exactly: $0) }) else { return false }
            appendBig(UInt32(bitPattern: value), to: &out)
            return true
        case .numeric:
            guard let (start, end) = plain(token) else { return false }
            return DecimalField.append(line, start, end, to: &out)
        case .instant:
            guard token.kind == .string, !token.isEscaped,
                let micros = InstantText.microseconds(line, token.start + 1, token.end - 1)
            else { return false }
            appendBig(UInt64(bitPattern: micros), to: &out)
            return true
        case .uuid: return uuid(line, token, to: &out)
        case .textArray: return textArray(line, token, to: &out)
        }
    }

    /// A whole number, also one written as text.
    static func integer(_ line: borrowing Span<UInt8>, _ token: JSONToken) -> Int64? {
        guard let (start, end) = plain(token), end - start <= 20 else { return nil }
        var index = start
        let negative = line[index] == UInt8(ascii: "-")
        if negative { index += 1 }
        guard index < end else { return nil }
        var value: Int64 = 0
        while index < end {
            let digit = line[index] &- 48
            guard digit < 10 else { return nil }
            let (product, overflow) = value.multipliedReportingOverflow(by: 10)
            let (next, more) = product.subtractingReportingOverflow(Int64(digit))
            guard !overflow, !more else { return nil }
            value = next
            index += 1
        }
        if negative { return value }
        return value == .min ? nil : -value
    }

    /// Where a number's characters are, quoted or not.
    private static func plain(_ token: JSONToken) -> (Int, Int)? {
        switch token.kind {
        case .number: (token.start, token.end)
        case .string where !token.isEscaped && token.end - token.start > 2: (token.start + 1, token.end - 1)
        default: nil
        }
    }

    /// A string, or a number as it is written; PostgreSQL's text holds no NUL.
    private static func text(_ line: borrowing Span<UInt8>, _ token: JSONToken, to out: inout [UInt8]) -> Bool {
        switch token.kind {
        case .string:
            let start = out.count
            guard JSONText.append(line, token, to: &out) else { return false }
            return !token.isEscaped || !out[start...].contains(0)
        case .number:
            for place in token.start..<token.end { out.append(line[place]) }
            return true
        default: return false
        }
    }

    /// The form `array_recv` reads.
    private static func textArray(_ line: borrowing Span<UInt8>, _ token: JSONToken, to out: inout [UInt8]) -> Bool {
        guard token.kind == .array else { return false }
        var elements: [JSONToken] = []
        var index = token.start
        do throws(JSONFlaw) {
            try JSONScan.elements(line, &index) { element throws(JSONFlaw) in elements.append(element) }
        } catch {
            return false
        }
        appendBig(UInt32(elements.isEmpty ? 0 : 1), to: &out)
        appendBig(UInt32(elements.contains { $0.kind == .null } ? 1 : 0), to: &out)
        appendBig(UInt32(25), to: &out)
        guard !elements.isEmpty else { return true }
        appendBig(UInt32(elements.count), to: &out)
        appendBig(UInt32(1), to: &out)
        for element in elements {
            guard element.kind != .null else {
                appendBig(UInt32.max, to: &out)
                continue
            }
            var bytes: [UInt8] = []
            guard text(line, element, to: &bytes) else { return false }
            appendBig(UInt32(bytes.count), to: &out)
            out += bytes
        }
        return true
    }

    private static func uuid(_ line: borrowing Span<UInt8>, _ token: JSONToken, to out: inout [UInt8]) -> Bool {
        guard token.kind == .string else { return false }
        var digits = 0
        var byte: UInt8 = 0
        for place in (token.start + 1)..<(token.end - 1) {
            let character = line[place]
            if character == UInt8(ascii: "-") { continue }
            let digit: UInt8
            switch character {
            case 48...57: digit = character - 48
            case 65...70: digit = character - 55
            case 97...102: digit = character - 87
            default: return false
            }
            byte = byte << 4 | digit
            digits += 1
            guard digits <= 32 else { return false }
            if digits % 2 == 0 { out.append(byte) }
        }
        return digits == 32
    }
}
