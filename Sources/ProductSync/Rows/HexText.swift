/// Hexadecimal text of ids, lower case.
enum HexText {
    @inline(__always)
    private static func digit(_ four: UInt8) -> UInt8 { four + (four < 10 ? 48 : 87) }

    static func append(_ bytes: Span<UInt8>, _ range: Range<Int>, to out: inout [UInt8]) {
        var text = InlineArray<32, UInt8>(repeating: 0)
        var at = range.lowerBound
        while at < range.upperBound {
            let end = min(at + 16, range.upperBound)
            var count = 0
            while at < end {
                text[count] = digit(bytes[at] >> 4)
                text[count + 1] = digit(bytes[at] & 15)
                count += 2
                at += 1
            }
            out.append(text.span, 0..<count)
        }
    }

    /// The eight digits of four bytes, all at once: the bytes of both numbers in the order of memory (little-endian).
    @inline(__always)
    static func digits(_ four: UInt32) -> UInt64 {
        var wide = UInt64(four)
        wide = (wide | wide << 16) & 0x0000_FFFF_0000_FFFF
        wide = (wide | wide << 8) & 0x00FF_00FF_00FF_00FF
        let values = (wide >> 4) & 0x000F_000F_000F_000F | (wide & 0x000F_000F_000F_000F) << 8
        // One in each byte whose value is above nine: six more carry it into the upper half.
        let letters = ((values + 0x0606_0606_0606_0606) >> 4) & 0x0101_0101_0101_0101
        return values + 0x3030_3030_3030_3030 + letters * 39
    }

    /// 16 bytes as 8-4-4-4-12 (RFC 9562).
    static func appendUUID(_ bytes: Span<UInt8>, _ range: Range<Int>, to out: inout [UInt8]) {
        for (offset, index) in range.enumerated() {
            if offset == 4 || offset == 6 || offset == 8 || offset == 10 { out.append(UInt8(ascii: "-")) }
            out.append(digit(bytes[index] >> 4))
            out.append(digit(bytes[index] & 15))
        }
    }

    static func uuid(_ bytes: some Collection<UInt8>) -> String {
        var out: [UInt8] = []
        let copy = Array(bytes)
        appendUUID(copy.span, 0..<copy.count, to: &out)
        return String(decoding: out, as: UTF8.self)
    }

    static func value(_ byte: UInt8) -> UInt8? {
        switch byte {
        case UInt8(ascii: "0")...UInt8(ascii: "9"): byte - UInt8(ascii: "0")
        case UInt8(ascii: "a")...UInt8(ascii: "f"): byte - UInt8(ascii: "a") + 10
        default: nil
        }
    }

    /// The bytes of exactly `count` × 2 lower-case digits, else nil.
    static func bytes(ofHex text: String, count: Int) -> [UInt8]? {
        let utf8 = Array(text.utf8)
        guard utf8.count == count * 2 else { return nil }
        var out: [UInt8] = []
        for index in stride(from: 0, to: utf8.count, by: 2) {
            guard let high = value(utf8[index]), let low = value(utf8[index + 1]) else { return nil }
            out.append(high << 4 | low)
        }
        return out
    }

    static func bytes(ofUUID text: String) -> [UInt8]? {
        let utf8 = Array(text.utf8)
        guard isUUID(utf8.span, 0..<utf8.count) else { return nil }
        return bytes(ofHex: text.filter { $0 != "-" }, count: 16)
    }

    static func isHex(_ bytes: Span<UInt8>, _ range: Range<Int>, count: Int) -> Bool {
        guard range.count == count else { return false }
        var allAreDigits = true
        for index in range {
            let byte = bytes[index]
            // Numbers below their first wrap around and are large.
            let isDigit = byte &- UInt8(ascii: "0") < 10 || byte &- UInt8(ascii: "a") < 6
            allAreDigits = allAreDigits && isDigit
        }
        return allAreDigits
    }

    static func isUUID(_ bytes: Span<UInt8>, _ range: Range<Int>) -> Bool {
        guard range.count == 36 else { return false }
        for offset in 0..<36 {
            let byte = bytes[range.lowerBound + offset]
            if offset == 8 || offset == 13 || offset == 18 || offset == 23 {
                if byte != UInt8(ascii: "-") { return false }
            } else if value(byte) == nil {
                return false
            }
        }
        return true
    }
}
