/// Well-formed UTF-8 (Unicode 15, table 3-7): what PostgreSQL would refuse is refused here, as one record.
enum UTF8Check {
    static func check(_ bytes: borrowing Span<UInt8>, _ start: Int, _ end: Int) throws(JSONFlaw) {
        var index = start
        while index < end {
            let lead = bytes[index]
            guard lead >= 0x80 else {
                index += 1
                continue
            }
            let (length, low, high): (Int, UInt8, UInt8) =
                switch lead {
                case 0xC2...0xDF: (2, 0x80, 0xBF)
                case 0xE0: (3, 0xA0, 0xBF)
                case 0xED: (3, 0x80, 0x9F)
                case 0xE1...0xEF: (3, 0x80, 0xBF)
                case 0xF0: (4, 0x90, 0xBF)
                case 0xF1...0xF3: (4, 0x80, 0xBF)
                case 0xF4: (4, 0x80, 0x8F)
                default: (0, 0, 0)
                }
            guard length > 0, index + length <= end, bytes[index + 1] >= low, bytes[index + 1] <= high else {
                throw JSONFlaw(reason: .text, offset: index)
            }
            for place in 2..<max(2, length) where bytes[index + place] & 0xC0 != 0x80 {
                throw JSONFlaw(reason: .text, offset: index + place)
            }
            index += length
        }
    }
}
