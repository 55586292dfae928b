import Mongo

/// Where the content of a BSON string lies: after its length prefix, before its NUL.
enum BSONString {
    static func content(_ element: BSONElement) -> Range<Int> {
        let start = element.value.lowerBound + 4
        return start..<max(start, element.value.upperBound - 1)
    }
}

/// Where the content of a BSON binary lies, by its subtype.
enum BSONBinary {
    static func subtype(_ element: BSONElement, _ document: Span<UInt8>) -> UInt8 {
        document[element.value.lowerBound + 4]
    }

    /// Subtype 2 (old binary) repeats its length inside.
    static func content(_ element: BSONElement, _ document: Span<UInt8>) -> Range<Int> {
        let start = element.value.lowerBound + 5
        let inner = subtype(element, document) == 2 && element.value.upperBound - start >= 4 ? 4 : 0
        return (start + inner)..<element.value.upperBound
    }

    /// The 16 bytes of a subtype 4 UUID. Subtype 3 is refused: its byte order depends on who wrote it.
    static func uuid(_ element: BSONElement, _ document: Span<UInt8>) -> Range<Int>? {
        guard element.type == .binary, subtype(element, document) == 4 else { return nil }
        let range = content(element, document)
        return range.count == 16 ? range : nil
    }
}

extension FieldEncoder {
    static func appendText(
        _ element: BSONElement,
        _ document: Span<UInt8>,
        charactersMax: Int?,
        to out: inout [UInt8]
    ) throws(FieldRejection) {
        let start = out.count
        switch element.type {
        case .string, .symbol:
            let content = BSONString.content(element)
            let characters = try characterCount(document, content)
            if let charactersMax, characters > charactersMax { throw FieldRejection(.tooLong) }
            out.append(document, content)
            return
        case .objectID: HexText.append(document, element.value, to: &out)
        case .binary:
            guard let uuid = BSONBinary.uuid(element, document) else { throw FieldRejection(.wrongType) }
            HexText.appendUUID(document, uuid, to: &out)
        case .int32: out.append(contentsOf: String(document.int32(at: element.value.lowerBound)).utf8)
        case .int64: out.append(contentsOf: String(document.int64(at: element.value.lowerBound)).utf8)
        default: throw FieldRejection(.wrongType)
        }
        if let charactersMax, out.count - start > charactersMax { throw FieldRejection(.tooLong) }
    }

    /// `character(n)`: trailing blanks do not count, and PostgreSQL pads to n characters.
    static func appendPadded(
        _ element: BSONElement,
        _ document: Span<UInt8>,
        characters: Int,
        to out: inout [UInt8]
    ) throws(FieldRejection) {
        let start = out.count
        try appendText(element, document, charactersMax: nil, to: &out)
        while out.count > start, out[out.count - 1] == UInt8(ascii: " ") { out.removeLast() }
        var count = 0
        for index in start..<out.count where out[index] & 0xC0 != 0x80 { count += 1 }
        guard count <= characters else { throw FieldRejection(.tooLong) }
        out.append(contentsOf: repeatElement(UInt8(ascii: " "), count: characters - count))
    }

    /// Characters as PostgreSQL counts them (code points); refuses what is not UTF-8 or holds a NUL.
    static func characterCount(_ document: Span<UInt8>, _ range: Range<Int>) throws(FieldRejection) -> Int {
        var ascii = true
        // Eight at a time where each is a character.
        var count = document.plainPrefix(range)
        for index in (range.lowerBound + count)..<range.upperBound {
            let byte = document[index]
            if byte == 0 { throw FieldRejection(.nulCharacter) }
            if byte >= 0x80 { ascii = false }
            if byte & 0xC0 != 0x80 { count += 1 }
        }
        if !ascii, (try? UTF8Span(validating: document.extracting(range))) == nil {
            throw FieldRejection(.invalidUTF8)
        }
        return count
    }
}
