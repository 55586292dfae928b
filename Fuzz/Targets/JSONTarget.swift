// A JSON body: nothing traps, nesting keeps its limit, and what was read is what is read from its own text.
import AccessText
import Runtime

@_cdecl("LLVMFuzzerTestOneInput")
func fuzzJSON(_ start: UnsafePointer<UInt8>?, _ count: Int) -> CInt {
    guard let value = try? JSONText.parse(Array(UnsafeBufferPointer(start: start, count: count))) else { return 0 }
    precondition(depth(of: value) <= JSONText.depthMax, "deeper than it may be")
    guard let again = try? JSONText.parse(Array(value.text.utf8)) else { preconditionFailure("our text is no JSON") }
    precondition(again == value, "a round trip changes the value")
    return 0
}

private func depth(of value: JSONValue) -> Int {
    switch value {
    case .array(let elements): 1 + (elements.map(depth).max() ?? 0)
    case .object(let members): 1 + (members.values.map(depth).max() ?? 0)
    default: 0
    }
}
