/// Hexadecimal text of ids, lower case.
enum HexText {
    static let digits: [UInt8] = Array("0123456789abcdef".utf8)

    static func append(_ bytes: Span<UInt8>, _ range: Range<Int>, to out: inout [UInt8]) {
        for index in range {
            out.append(digits[Int(bytes[index] >> 4)])
            out.append(digits[Int(bytes[index] & 15)])
        }
    }

    /// 16 bytes as 8-4-4-4-12 (RFC 9562).
    static func appendUUID(_ bytes: Span<UInt8>, _ range: Range<Int>, to out: inout [UInt8]) {
        for (offset, index) in range.enumerated() {
            if offset == 4 || offset == 6 || offset == 8 || offset == 10 { out.append(UInt8(ascii: "-")) }
            out.append(digits[Int(bytes[index] >> 4)])
            out.append(digits[Int(bytes[index] & 15)])
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
        for index in range where value(bytes[index]) == nil { return false }
        return true
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
