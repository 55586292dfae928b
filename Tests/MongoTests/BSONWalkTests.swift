import Mongo
import Runtime
import Testing

@Suite struct BSONWalkTests {
    @Test func everyTypeIsFoundWithItsRange() throws {
        let bytes = Samples.everything.bytes
        var types: Set<BSONType> = []
        var at = 4
        try BSONWalk.elements(of: bytes.span) { element in
            types.insert(element.type)
            #expect(element.name.lowerBound == at + 1, "elements follow each other without a gap")
            #expect(element.value.lowerBound == element.name.upperBound + 1)
            at = element.value.upperBound
            return true
        }
        #expect(at == bytes.count - 1)
        #expect(types == Set(BSONType.allCases))
    }

    @Test func falseStopsTheWalk() throws {
        let bytes = Samples.everything.bytes
        var seen = 0
        try BSONWalk.elements(of: bytes.span) { _ in
            seen += 1
            return seen < 3
        }
        #expect(seen == 3)
    }

    @Test func innerDocumentsAreWalkedInPlace() throws {
        let document = bson { $0.append("a", document: bson { $0.append("b", int64: .min) }) }
        let outer = try #require(try document.element("a"))
        var values: [Int64] = []
        try BSONWalk.elements(of: document.bytes.span, in: outer.value) { inner in
            values.append(try BSONWalk.int64(document.bytes.span, at: inner.value.lowerBound))
            return true
        }
        #expect(values == [.min])
    }

    @Test(arguments: [-1..<5, 0..<6, 5..<5, 3..<5, 0..<1_000_000])
    func aRangeOutsideTheBytesIsRefused(range: Range<Int>) {
        let bytes = BSONDocument.empty.bytes
        expectMalformed { try BSONWalk.elements(of: bytes.span, in: range) { _ in true } }
    }

    @Test(arguments: [-1, 2, 5, .max, .min])
    func aNumberOutsideTheBytesIsRefused(index: Int) {
        let bytes: [UInt8] = [1, 2, 3, 4, 5]
        expectMalformed { _ = try BSONWalk.int32(bytes.span, at: index) }
        expectMalformed { _ = try BSONWalk.int64(bytes.span, at: index) }
        expectMalformed { _ = try BSONWalk.double(bytes.span, at: index) }
    }

    /// Lengths that lie: of the document, of a string, of a binary, of a code with scope; a missing terminator; an
    /// unknown type.
    @Test(
        arguments: [
            [], [5], [5, 0, 0, 0], [4, 0, 0, 0, 0], [6, 0, 0, 0, 0], [5, 0, 0, 0, 1], [0xFF, 0xFF, 0xFF, 0xFF, 0],
            [8, 0, 0, 0, 10, 97, 97, 0], [8, 0, 0, 0, 10, 97, 0, 1], [9, 0, 0, 0, 16, 97, 0, 1, 0],
            [8, 0, 0, 0, 99, 97, 0, 0],
            [12, 0, 0, 0, 2, 97, 0, 0, 0, 0, 0, 0], [13, 0, 0, 0, 2, 97, 0, 0xFF, 0xFF, 0xFF, 0x7F, 0, 0],
            [13, 0, 0, 0, 5, 97, 0, 0xFF, 0xFF, 0xFF, 0x7F, 0, 0], [12, 0, 0, 0, 5, 97, 0, 0, 0, 0, 0, 1],
            [12, 0, 0, 0, 3, 97, 0, 4, 0, 0, 0, 0], [12, 0, 0, 0, 15, 97, 0, 4, 0, 0, 0, 0],
            [10, 0, 0, 0, 11, 97, 0, 97, 0, 1],
        ] as [[UInt8]]
    )
    func lyingBytesAreRefused(bytes: [UInt8]) {
        expectMalformed { try BSONWalk.elements(of: bytes.span) { _ in true } }
    }

    /// Property: whatever the bytes, a reader gets elements inside them or `.recordMalformed`, never a trap.
    @Test(arguments: 1...200)
    func mutatedDocumentsNeverTrap(seed: UInt64) {
        var random = Seeded(seed)
        for _ in 0..<200 {
            var bytes = Samples.everything.bytes
            for _ in 0..<Int.random(in: 1...6, using: &random) { mutate(&bytes, using: &random) }
            var out: [UInt8] = Array("kept".utf8)
            do {
                try walkAll(bytes.span, 0..<bytes.count, depth: 0)
                let whole = BSONElement(type: .document, name: 0..<0, value: 0..<bytes.count)
                try BSONExtJSON.append(whole, of: bytes.span, to: &out)
            } catch let error as TallyError {
                #expect(error.kind == .recordMalformed, "seed \(seed)")
                #expect(out == Array("kept".utf8), "a refused value leaves nothing behind; seed \(seed)")
            } catch {
                Issue.record("seed \(seed): \(error)")
            }
        }
    }

    private func mutate(_ bytes: inout [UInt8], using random: inout Seeded) {
        guard !bytes.isEmpty else { return }
        let at = Int.random(in: 0..<bytes.count, using: &random)
        switch Int.random(in: 0..<6, using: &random) {
        case 0: bytes[at] = UInt8.random(in: .min ... .max, using: &random)
        case 1: bytes[at] ^= 1 << UInt8.random(in: 0...7, using: &random)
        case 2: bytes.removeSubrange(at...)
        case 3: bytes.insert(UInt8.random(in: .min ... .max, using: &random), at: at)
        case 4: bytes.remove(at: at)
        default: for index in at..<min(bytes.count, at + 4) { bytes[index] = index % 2 == 0 ? 0xFF : 0x7F }
        }
        // Most documents would be refused for their length alone, and the rest of the walk never be tried.
        if Bool.random(using: &random), bytes.count >= 5 {
            for index in 0..<4 { bytes[index] = UInt8(truncatingIfNeeded: bytes.count >> (8 * index)) }
            bytes[bytes.count - 1] = 0
        }
    }

    private func walkAll(_ document: Span<UInt8>, _ range: Range<Int>, depth: Int) throws {
        let end = document.count
        try BSONWalk.elements(of: document, in: range) { element in
            #expect(element.value.lowerBound >= 0 && element.value.upperBound < end)
            if element.type == .document || element.type == .array {
                try walkAll(document, element.value, depth: depth + 1)
            }
            return true
        }
    }
}

func expectMalformed(_ body: () throws -> Void) {
    let error = #expect(throws: TallyError.self) { try body() }
    #expect(error?.kind == .recordMalformed)
}
