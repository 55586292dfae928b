// A chunked body: any cut gives the same answer, the body keeps its limit, and what is taken survives a round trip.
import HTTPWire

private enum Decoded: Equatable {
    case refused(HTTPFailure)
    case more([UInt8])
    case whole([UInt8], rest: [UInt8])

    init(_ pieces: [[UInt8]], max: Int) {
        var decoder = ChunkedDecoder(bodyMax: max)
        for (index, piece) in pieces.enumerated() {
            do {
                guard let rest = try decoder.feed(piece) else { continue }
                self = .whole(decoder.body, rest: rest + pieces[(index + 1)...].joined())
                return
            } catch {
                self = .refused(error)
                return
            }
        }
        self = .more(decoder.body)
    }
}

@_cdecl("LLVMFuzzerTestOneInput")
func fuzzChunks(_ start: UnsafePointer<UInt8>?, _ count: Int) -> CInt {
    let all = Array(UnsafeBufferPointer(start: start, count: count))
    guard all.count > 1 else { return 0 }
    // The first byte chooses the cut.
    let bytes = Array(all[1...])
    let cut = Int(all[0]) % (bytes.count + 1)
    let max = 1_000
    let whole = Decoded([bytes], max: max)
    precondition(whole == Decoded([Array(bytes[..<cut]), Array(bytes[cut...])], max: max), "a cut changes the answer")
    precondition(whole == Decoded(bytes.map { [$0] }, max: max), "reading byte by byte changes the answer")
    switch whole {
    case .refused(let failure): precondition([400, 413, 431].contains(failure.status))
    case .more(let body): precondition(body.count <= max)
    case .whole(let body, let rest):
        precondition(body.count <= max)
        precondition(bytes.suffix(rest.count) == rest[...], "what follows is not the end of what came")
        let again = ChunkedEncoder.chunk(body) + ChunkedEncoder.end
        precondition(Decoded([again], max: max) == .whole(body, rest: []), "a round trip changes the body")
    }
    return 0
}
