import Mongo
import Postgres
import Runtime

/// Turns one BSON value into the bytes of one COPY BINARY field, without an object in between.
///
/// What it writes is what PostgreSQL itself would send for that value, so that images compare by memory; the few types
/// with more than one spelling (numeric scale, jsonb order) are settled by `ImageComparison`.
enum FieldEncoder {
    /// Appends length and content for `type`; a BSON null or undefined gives NULL.
    static func append(
        _ element: BSONElement,
        of document: Span<UInt8>,
        as type: FieldType,
        to out: inout [UInt8]
    ) throws(FieldRejection) {
        if case .null = element.type { return out.appendBigEndian(Int32(-1)) }
        if case .undefined = element.type { return out.appendBigEndian(Int32(-1)) }
        let start = out.count
        out.appendBigEndian(Int32(0))
        try appendContent(element, of: document, as: type, to: &out)
        out.patchLength(at: start)
    }

    private static func appendContent(
        _ element: BSONElement,
        of document: Span<UInt8>,
        as type: FieldType,
        to out: inout [UInt8]
    ) throws(FieldRejection) {
        switch type {
        case .bool:
            guard element.type == .bool else { throw FieldRejection(.wrongType) }
            out.append(document[element.value.lowerBound] == 0 ? 0 : 1)
        case .int2: out.appendBigEndian(try integer(element, document, Int16.self))
        case .int4: out.appendBigEndian(try integer(element, document, Int32.self))
        case .int8: out.appendBigEndian(try integer(element, document, Int64.self))
        case .float4: out.appendBigEndian(try float(element, document, Float.self).bitPattern)
        case .float8: out.appendBigEndian(try float(element, document, Double.self).bitPattern)
        case .numeric(let precision, let scale):
            try appendNumeric(element, document, precision: precision, scale: scale, to: &out)
        case .text(let most): try appendText(element, document, charactersMax: most, to: &out)
        case .padded(let count): try appendPadded(element, document, characters: count, to: &out)
        case .timestamp(let precision, _): try appendTimestamp(element, document, precision: precision, to: &out)
        case .date: try appendDate(element, document, to: &out)
        case .uuid: try appendUUID(element, document, to: &out)
        case .bytea: try appendBytes(element, document, to: &out)
        case .json: try appendJSON(element, document, to: &out)
        case .jsonb:
            out.append(1)
            try appendJSON(element, document, to: &out)
        case .array(let inner, let oid): try appendArray(element, document, inner, oid, to: &out)
        }
    }

    private static func integer<I: FixedWidthInteger & SignedInteger>(
        _ element: BSONElement,
        _ document: Span<UInt8>,
        _: I.Type
    ) throws(FieldRejection) -> I {
        let at = element.value.lowerBound
        switch element.type {
        case .int32:
            guard let value = I(exactly: document.int32(at: at)) else { throw FieldRejection(.outOfRange) }
            return value
        case .int64:
            guard let value = I(exactly: document.int64(at: at)) else { throw FieldRejection(.outOfRange) }
            return value
        case .double:
            let double = document.double(at: at)
            guard double.isFinite else { throw FieldRejection(.outOfRange) }
            guard double == double.rounded(.towardZero) else { throw FieldRejection(.notExact) }
            guard let value = I(exactly: double) else { throw FieldRejection(.outOfRange) }
            return value
        case .decimal128:
            guard let numeric = decimal(element, document), let value = Int64(numeric.rounded(toScale: 0).text) else {
                throw FieldRejection(.outOfRange)
            }
            guard numeric.rounded(toScale: 0) == numeric else { throw FieldRejection(.notExact) }
            guard let fitting = I(exactly: value) else { throw FieldRejection(.outOfRange) }
            return fitting
        default: throw FieldRejection(.wrongType)
        }
    }

    private static func float<F: BinaryFloatingPoint & LosslessStringConvertible>(
        _ element: BSONElement,
        _ document: Span<UInt8>,
        _: F.Type
    ) throws(FieldRejection) -> F {
        let at = element.value.lowerBound
        switch element.type {
        case .double:
            let double = document.double(at: at)
            let value = F(double)
            guard value.isFinite || !double.isFinite else { throw FieldRejection(.outOfRange) }
            return value.isNaN ? F.nan : value
        case .int32:
            guard let value = F(exactly: document.int32(at: at)) else { throw FieldRejection(.notExact) }
            return value
        case .int64:
            guard let value = F(exactly: document.int64(at: at)) else { throw FieldRejection(.notExact) }
            return value
        case .decimal128:
            guard let text = decimal(element, document)?.text, let value = F(text) else {
                throw FieldRejection(.outOfRange)
            }
            guard value.isFinite || text.contains("n") else { throw FieldRejection(.outOfRange) }
            return value
        default: throw FieldRejection(.wrongType)
        }
    }

    static func decimal(_ element: BSONElement, _ document: Span<UInt8>) -> PGNumeric? {
        let at = element.value.lowerBound
        return PGNumeric(
            decimal128High: UInt64(bitPattern: document.int64(at: at + 8)),
            low: UInt64(bitPattern: document.int64(at: at))
        )
    }

    private static func appendNumeric(
        _ element: BSONElement,
        _ document: Span<UInt8>,
        precision: Int?,
        scale: Int,
        to out: inout [UInt8]
    ) throws(FieldRejection) {
        let at = element.value.lowerBound
        var numeric: PGNumeric
        switch element.type {
        case .double: numeric = PGNumeric.shortest(of: document.double(at: at))
        case .int32: numeric = PGNumeric(Int64(document.int32(at: at)))
        case .int64: numeric = PGNumeric(document.int64(at: at))
        case .decimal128:
            guard let value = decimal(element, document) else { throw FieldRejection(.outOfRange) }
            numeric = value
        default: throw FieldRejection(.wrongType)
        }
        if let precision {
            numeric = numeric.rounded(toScale: scale)
            guard numeric.fits(precision: precision, scale: scale) else { throw FieldRejection(.outOfRange) }
        }
        numeric.append(to: &out)
    }

    private static func appendTimestamp(
        _ element: BSONElement,
        _ document: Span<UInt8>,
        precision: Int,
        to out: inout [UInt8]
    ) throws(FieldRejection) {
        guard element.type == .date else { throw FieldRejection(.wrongType) }
        let (shifted, low) = document.int64(at: element.value.lowerBound).subtractingReportingOverflow(946_684_800_000)
        let (exact, high) = shifted.multipliedReportingOverflow(by: 1_000)
        guard !low, !high else { throw FieldRejection(.outOfRange) }
        let micros = precision >= 3 ? exact : rounded(exact, toDecimals: precision)
        // PostgreSQL's timestamps reach from 4714-11-24 BC to before 294277-01-01 (datatype/timestamp.h).
        guard micros >= -211_813_488_000_000_000, micros < 9_223_371_331_200_000_000 else {
            throw FieldRejection(.outOfRange)
        }
        out.appendBigEndian(micros)
    }

    /// As `AdjustTimestampForTypmod` does: half away from 2000-01-01.
    private static func rounded(_ micros: Int64, toDecimals decimals: Int) -> Int64 {
        var unit: Int64 = 1_000_000
        for _ in 0..<max(0, decimals) { unit /= 10 }
        let sign: Int64 = micros < 0 ? -1 : 1
        let (magnitude, overflow) = (micros * sign).addingReportingOverflow(unit / 2)
        return overflow ? micros : magnitude / unit * unit * sign
    }

    private static func appendDate(
        _ element: BSONElement,
        _ document: Span<UInt8>,
        to out: inout [UInt8]
    ) throws(FieldRejection) {
        guard element.type == .date else { throw FieldRejection(.wrongType) }
        let millis = document.int64(at: element.value.lowerBound)
        let days = (millis >= 0 ? millis / 86_400_000 : (millis + 1) / 86_400_000 - 1) - 10_957
        guard days >= -2_451_545, days < 2_145_031_949 else { throw FieldRejection(.outOfRange) }
        out.appendBigEndian(Int32(days))
    }

    private static func appendUUID(
        _ element: BSONElement,
        _ document: Span<UInt8>,
        to out: inout [UInt8]
    ) throws(FieldRejection) {
        switch element.type {
        case .binary:
            guard let content = BSONBinary.uuid(element, document) else { throw FieldRejection(.wrongType) }
            out.append(document, content)
        case .string:
            let content = BSONString.content(element)
            let text = String(decoding: Array(document, content), as: UTF8.self).lowercased()
            guard let bytes = HexText.bytes(ofUUID: text) else { throw FieldRejection(.wrongType) }
            out.append(contentsOf: bytes)
        default: throw FieldRejection(.wrongType)
        }
    }

    private static func appendBytes(
        _ element: BSONElement,
        _ document: Span<UInt8>,
        to out: inout [UInt8]
    ) throws(FieldRejection) {
        switch element.type {
        case .binary: out.append(document, BSONBinary.content(element, document))
        case .objectID: out.append(document, element.value)
        default: throw FieldRejection(.wrongType)
        }
    }

    private static func appendJSON(
        _ element: BSONElement,
        _ document: Span<UInt8>,
        to out: inout [UInt8]
    ) throws(FieldRejection) {
        do {
            try BSONExtJSON.append(element, of: document, to: &out)
        } catch {
            throw FieldRejection(.nulCharacter)
        }
    }

    /// One dimension, lower bound 1, as `array_send` writes it; an empty array has no dimension.
    private static func appendArray(
        _ element: BSONElement,
        _ document: Span<UInt8>,
        _ inner: FieldType,
        _ oid: UInt32,
        to out: inout [UInt8]
    ) throws(FieldRejection) {
        guard element.type == .array else { throw FieldRejection(.wrongType) }
        let head = out.count
        var count: Int32 = 0
        var nulls: Int32 = 0
        var rejection: FieldRejection?
        out.appendBigEndian(Int32(1))
        out.appendBigEndian(Int32(0))
        out.appendBigEndian(oid)
        out.appendBigEndian(Int32(0))
        out.appendBigEndian(Int32(1))
        do {
            try BSONWalk.elements(of: document, in: element.value) { item in
                if item.type == .null || item.type == .undefined { nulls = 1 }
                if item.type == .array { throw FieldRejection(.wrongType) }
                try append(item, of: document, as: inner, to: &out)
                count += 1
                return true
            }
        } catch let error as FieldRejection {
            rejection = error
        } catch {
            rejection = FieldRejection(.malformed)
        }
        if let rejection { throw rejection }
        if count == 0 {
            out.removeSubrange(head...)
            out.appendBigEndian(Int32(0))
            out.appendBigEndian(Int32(0))
            out.appendBigEndian(oid)
        } else {
            out.patch(nulls, at: head + 4)
            out.patch(count, at: head + 12)
        }
    }
}
