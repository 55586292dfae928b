import Mongo
import Synchronization

/// A value that several tasks change.
final class Shared<Value: Sendable>: Sendable {
    private let mutex: Mutex<Value>
    init(_ value: Value) { mutex = Mutex(value) }
    var value: Value { mutex.withLock { $0 } }
    func change<R: Sendable>(_ body: (inout Value) -> R) -> R {
        mutex.withLock { value in body(&value) }
    }
}

/// SplitMix64: the same seed gives the same test on every machine.
struct Seeded: RandomNumberGenerator {
    private var state: UInt64
    init(_ seed: UInt64) { state = seed }

    mutating func next() -> UInt64 {
        state &+= 0x9E37_79B9_7F4A_7C15
        var mixed = state
        mixed = (mixed ^ (mixed >> 30)) &* 0xBF58_476D_1CE4_E5B9
        mixed = (mixed ^ (mixed >> 27)) &* 0x94D0_49BB_1331_11EB
        return mixed ^ (mixed >> 31)
    }
}

func bson(_ fill: (inout BSONBuilder) -> Void) -> BSONDocument {
    var builder = BSONBuilder()
    fill(&builder)
    return builder.finish()
}

/// A BSON string value: length, text, NUL.
func bsonString(_ text: String) -> [UInt8] {
    let count = UInt32(text.utf8.count + 1)
    return (0..<4).map { UInt8(truncatingIfNeeded: count >> UInt32(8 * $0)) } + Array(text.utf8) + [0]
}

enum Samples {
    static let objectID: [UInt8] = [0x65, 0xA1, 0xB2, 0xC3, 0xD4, 0xE5, 0xF6, 0x07, 0x18, 0x29, 0x3A, 0x4B]
    static let uuid: [UInt8] = Array(0x10...0x1F)

    /// One element of every BSON type, two levels deep.
    static let everything = bson { doc in
        doc.append("double", double: 19.99)
        doc.append("string", string: "Schüssel \"groß\"")
        doc.append("document", document: bson { $0.append("inner", int32: 7) })
        doc.append(
            "array",
            array: bson {
                $0.append("0", string: "a")
                $0.append("1", document: bson { $0.append("b", bool: false) })
            }
        )
        doc.append("binary", binary: [1, 2, 3, 4], subtype: 0)
        doc.append("oldBinary", binary: [1, 2, 3, 4], subtype: 2)
        doc.append("uuid", binary: uuid, subtype: 4)
        doc.append("undefined", raw: .undefined, [])
        doc.append("_id", objectID: objectID)
        doc.append("bool", bool: true)
        doc.append("date", date: 1_709_208_000_123)
        doc.appendNull("null")
        doc.append("regex", raw: .regex, Array("^a.*$".utf8) + [0] + Array("ix".utf8) + [0])
        doc.append("dbPointer", raw: .dbPointer, bsonString("shop.p") + objectID)
        doc.append("code", raw: .code, bsonString("return 1"))
        doc.append("symbol", raw: .symbol, bsonString("sym"))
        let scope = bson { $0.append("x", int32: 1) }.bytes
        let code = bsonString("x + 1")
        doc.append("scoped", raw: .codeWithScope, [UInt8(4 + code.count + scope.count), 0, 0, 0] + code + scope)
        doc.append("int32", int32: -42)
        doc.append("timestamp", raw: .timestamp, [5, 0, 0, 0, 0xFF, 0xFF, 0xFF, 0xFF])
        doc.append("int64", int64: 9_007_199_254_740_993)
        doc.append("decimal", raw: .decimal128, decimal128(1999, exponent: -2))
        doc.appendMinKey("min")
        doc.appendMaxKey("max")
    }

    static func decimal128(_ coefficient: UInt128, exponent: Int, negative: Bool = false) -> [UInt8] {
        let low = UInt64(truncatingIfNeeded: coefficient)
        let high =
            UInt64(truncatingIfNeeded: coefficient >> 64) | UInt64(exponent + 6176) << 49 | (negative ? 1 << 63 : 0)
        return little(low) + little(high)
    }

    static func little(_ value: UInt64) -> [UInt8] {
        (0..<8).map { UInt8(truncatingIfNeeded: value >> UInt64(8 * $0)) }
    }
}
