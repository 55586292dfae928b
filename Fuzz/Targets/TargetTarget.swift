// A request target: what is taken holds no dot segment, slash or NUL, and means the same when it is written again.
import HTTPTypes
import HTTPWire

@_cdecl("LLVMFuzzerTestOneInput")
func fuzzTarget(_ start: UnsafePointer<UInt8>?, _ count: Int) -> CInt {
    let bytes = Array(UnsafeBufferPointer(start: start, count: count))
    guard let target = try? RequestTarget(bytes, method: .options) else { return 0 }
    for segment in target.path {
        precondition(segment != "." && segment != "..", "a dot segment is taken")
        precondition(!segment.utf8.contains { $0 == 0 || $0 == UInt8(ascii: "/") }, "a segment holds a slash or NUL")
    }
    if target.isServerWide { return 0 }
    var again = "/" + target.path.map(encoded).joined(separator: "/") + (target.path.last == "" ? "/" : "")
    if !target.query.isEmpty {
        again += "?" + target.query.map { encoded($0.0) + "=" + encoded($0.1) }.joined(separator: "&")
    }
    guard let second = try? RequestTarget(Array(again.utf8), method: .get) else {
        preconditionFailure("what was taken is refused when written again")
    }
    precondition(second.path == target.path, "the path changes when written again")
    precondition(second.query.map(\.0) == target.query.map(\.0) && second.query.map(\.1) == target.query.map(\.1))
    return 0
}

/// Every byte percent-encoded, which means the same.
private func encoded(_ text: String) -> String {
    text.utf8.map { "%" + ($0 < 16 ? "0" : "") + String($0, radix: 16) }.joined()
}
