import Mongo
import Testing

@Suite struct BSONDocumentTests {
    /// The worked examples of bsonspec.org/faq.
    @Test func bytesAreThoseOfTheSpecification() {
        let hello = bson { $0.append("hello", string: "world") }
        #expect(
            hello.bytes == [0x16, 0, 0, 0, 2] + Array("hello\0".utf8) + [6, 0, 0, 0] + Array("world\0".utf8) + [0]
        )
        #expect(BSONBuilder().finish() == .empty)
        let list = bson {
            $0.append(
                "BSON",
                array: bson {
                    $0.append("0", string: "awesome")
                    $0.append("1", double: 5.05)
                    $0.append("2", int32: 1986)
                }
            )
        }
        #expect(list.bytes.count == 0x31)
        #expect(Array(list.bytes[..<11]) == [0x31, 0, 0, 0, 4] + Array("BSON\0".utf8) + [0x26])
        #expect(Array(list.bytes.suffix(6)) == [0xC2, 7, 0, 0, 0, 0])
    }

    @Test func fieldsReadBack() throws {
        let document = bson {
            $0.append("a", int32: 1)
            $0.append("b", int64: 2)
            $0.append("c", double: 3)
            $0.append("d", double: 3.5)
            $0.append("s", string: "text")
            $0.append("t", bool: true)
            $0.append(
                "l",
                array: bson {
                    $0.append("0", string: "x")
                    $0.append("1", int32: 0)
                    $0.append("2", string: "y")
                }
            )
        }
        #expect(try document.int("a") == 1)
        #expect(try document.int("b") == 2)
        #expect(try document.int("c") == 3)
        #expect(try document.int("d") == nil, "3.5 is no whole number")
        #expect(try document.int("s") == nil)
        #expect(try document.int("missing") == nil)
        #expect(try document.string("s") == "text")
        #expect(try document.bool("t") == true)
        #expect(try document.strings("l") == ["x", "y"])
    }

    @Test func aNameEndsAtItsFirstNUL() throws {
        let document = bson { $0.append("a\0b", int32: 1) }
        #expect(try document.int("a") == 1)
    }

    @Test func objectIDsHaveTwelveBytes() throws {
        for count in [0, 5, 12, 20] {
            let document = bson { $0.append("_id", objectID: [UInt8](repeating: 7, count: count)) }
            #expect(try document.element("_id")?.value.count == 12)
        }
    }

    @Test func aRawValueIsTheSameValue() throws {
        let all = Samples.everything
        var copy = BSONBuilder()
        try BSONWalk.elements(of: all.bytes.span) { element in
            let name = String(decoding: all.bytes[element.name], as: UTF8.self)
            copy.append(name, raw: element.type, Array(all.bytes[element.value]))
            return true
        }
        #expect(copy.finish() == all)
    }

    @Test func theBuilderGoesOnAfterFinish() throws {
        var builder = BSONBuilder()
        builder.append("a", int32: 1)
        let first = builder.finish()
        builder.append("b", int32: 2)
        #expect(try first.int("b") == nil)
        #expect(try builder.finish().int("b") == 2)
    }
}
