// A whole request, head and body: any cut of the bytes gives the same answer, and what is taken keeps the limits.
import HTTPWire

@_cdecl("LLVMFuzzerTestOneInput")
func fuzzHead(_ start: UnsafePointer<UInt8>?, _ count: Int) -> CInt {
    let all = Array(UnsafeBufferPointer(start: start, count: count))
    guard all.count > 2 else { return 0 }
    // The first two bytes choose the cuts.
    let bytes = Array(all[2...])
    let cuts = [Int(all[0]) % (bytes.count + 1), Int(all[1]) * 7 % (bytes.count + 1)].sorted()
    let whole = ParsedRequest([bytes])
    let pieces = [bytes[..<cuts[0]], bytes[cuts[0]..<cuts[1]], bytes[cuts[1]...]].map { Array($0) }
    precondition(whole == ParsedRequest(pieces), "cutting the bytes changes the answer")
    precondition(whole == ParsedRequest(bytes.map { [$0] }), "reading byte by byte changes the answer")
    let limits = HTTPLimits()
    switch whole {
    case .more: break
    case .refused(let failure): precondition([400, 413, 414, 417, 431, 501, 505].contains(failure.status))
    case .request(_, let target, _, let fields, let body, let rest):
        precondition(target.utf8.count <= limits.requestLineBytes)
        precondition(fields.count <= limits.fieldsMax)
        precondition(body.count <= limits.bodyBytes)
        precondition(bytes.suffix(rest.count) == rest[...], "what follows is not the end of what came")
    }
    return 0
}
