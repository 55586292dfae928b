import Foundation
import Runtime
import Testing

/// A value and its text are the same thing, told twice.
@Suite struct JSONValueTests {
    private static func read(_ text: String) throws -> JSONValue {
        try JSONDecoder().decode(JSONValue.self, from: Data(text.utf8))
    }

    /// Numbers whose fraction no Double holds were read as fractions once and as whole from their own text.
    @Test(arguments: [
        ("922337203685477580.3720368", JSONValue.int(922_337_203_685_477_632)),
        ("4503599627370497.01", 4_503_599_627_370_497),
        ("-922337203685477580.3720368", JSONValue.int(-922_337_203_685_477_632)), ("1.0", 1), ("-0.0", 0),
        ("1e3", 1000),
        ("1.5", 1.5), ("1e38", 1e38), ("-1e-7", -1e-7), ("9223372036854775807", JSONValue.int(.max)),
        ("-9223372036854775808", JSONValue.int(.min)), ("9223372036854775808", 9_223_372_036_854_775_808.0),
    ])
    func aNumberIsReadAsItsOwnTextIs(text: String, value: JSONValue) throws {
        let read = try Self.read("[\(text)]")
        #expect(read == [value])
        #expect(try Self.read(read.text) == read, "\(read.text)")
    }

    @Test func textIsSortedEscapedAndRead() throws {
        let value: JSONValue = ["b": ["x\"\\\n\u{1}é", nil, true, .double(.nan)], "a": [:], "\n": []]
        #expect(value.text == #"{"\n":[],"a":{},"b":["x\"\\\n\u0001é",null,true,null]}"#)
        #expect(
            try Self.read(#"{"b":["x\"\\\n\u0001é",null,true,null],"a":{},"\n":[]}"#)["b"]?.array?.first
                == "x\"\\\n\u{1}é"
        )
    }
}
