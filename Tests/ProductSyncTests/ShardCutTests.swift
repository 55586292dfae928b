import Engine
import Mongo
import ProductSync
import Runtime
import TestKit
import Testing

/// The cut: whatever was sampled, each value belongs to exactly one range, and the ranges are of about one size.
@Suite struct ShardCutTests {
    private static func contains<Bound: Comparable>(_ range: SideRange<Bound>, _ value: Bound) -> Bool {
        guard case .between(let lower, let upper) = range else { return false }
        if let lower, value < lower { return false }
        if let upper, !(value < upper) { return false }
        return true
    }

    @Test(arguments: SeededGenerator.seeds())
    func eachKeyIsInExactlyOneRange(seed: UInt64) {
        var random = SeededGenerator(seed: seed)
        let shards = Int.random(in: 1...20, using: &random)
        let spread = [3, 50, 1_000_000].randomElement(using: &random) ?? 50
        // Few distinct values, many equal ones, none at all: a sample may be anything.
        let sample = (0..<Int.random(in: 0...200, using: &random))
            .map { _ in Int.random(in: 0...spread, using: &random) }.sorted()
        let bounds = EqualParts.bounds(sample, into: shards)
        #expect(zip(bounds, bounds.dropFirst()).allSatisfy { $0 < $1 }, "\(random): bounds ascend")
        let ranges = SideRange.cut(at: bounds, into: shards)
        #expect(ranges.count == shards, "\(random)")
        #expect(SideRange.areWhole(ranges), "\(random)")
        if shards > 1 {
            #expect(!SideRange.areWhole(Array(ranges.dropFirst())) || bounds.isEmpty, "\(random): one is missing")
        }
        for value in [-1, spread + 1] + bounds + bounds.map({ $0 - 1 }) + bounds.map({ $0 + 1 }) + sample {
            #expect(ranges.count { Self.contains($0, value) } == 1, "\(random): \(value)")
        }
    }

    @Test func aGapIsSeen() {
        #expect(SideRange.areWhole([.between(nil, 5), .between(5, nil), .nothing]))
        #expect(!SideRange.areWhole([.between(nil, 5), .between(6, nil)]))
        #expect(!SideRange.areWhole([.between(nil, 5), .between(4, nil)]))
        #expect(!SideRange.areWhole([.between(1, 5), .between(5, nil)]))
        #expect(!SideRange.areWhole([.between(nil, 5), .between(5, 9)]))
        #expect(!SideRange.areWhole([SideRange<Int>.nothing, .nothing]))
        #expect(!SideRange.areWhole([SideRange<Int>]()))
    }

    @Test func distinctSamplesGiveRangesOfOneSize() {
        let sample = Array(0..<8_000)
        let ranges = SideRange.cut(at: EqualParts.bounds(sample, into: 8), into: 8)
        for range in ranges {
            #expect(sample.count { Self.contains(range, $0) } == 1_000)
        }
    }

    @Test func tooFewKeysLeaveShardsWithNothing() {
        #expect(EqualParts.bounds([Int](), into: 4).isEmpty)
        let ranges = SideRange.cut(at: EqualParts.bounds([5, 5, 9], into: 4), into: 4)
        #expect(ranges == [.between(nil, 9), .between(9, nil), .nothing, .nothing])
    }

    @Test(arguments: SeededGenerator.seeds(50))
    func thinningKeepsOrderAndSpread(seed: UInt64) {
        var random = SeededGenerator(seed: seed)
        let count = Int.random(in: 0...5_000, using: &random)
        let wanted = Int.random(in: 1...100, using: &random)
        var thinner = SampleThinner<Int>(wanted: wanted)
        for value in 0..<count { thinner.add(value) }
        let kept = thinner.values
        #expect(kept.count < max(2, wanted * 2), "\(random)")
        #expect(kept.count >= min(count, wanted), "\(random)")
        let steps = Set(zip(kept, kept.dropFirst()).map { $1 - $0 })
        #expect(steps.count <= 1, "\(random): evenly spaced")
        if count > 0 { #expect(kept.first == 0, "\(random)") }
    }

    @Test func rangesSurviveTheirStorage() throws {
        let id = IDPosition(type: .objectID, bytes: ShopDocuments.id(7))
        let ranges = [
            SyncRange(pairing: .aligned, source: .between(nil, id), target: .between(nil, "a'b")),
            SyncRange(pairing: .aligned, source: .between(id, nil), target: .between("a'b", nil)),
            SyncRange(pairing: .aligned, source: .nothing, target: .everything),
        ]
        for range in ranges { #expect(try SyncRange(range.bounds, pairing: .aligned) == range) }
        let broken = ShardBounds(lower: ["source": ["type": 7], "target": .null], upper: nil)
        #expect(throws: TallyError.self) { try SyncRange(broken, pairing: .aligned) }
    }

    @Test func keysOfOrphansSurviveTheirStorage() {
        let keys: [[UInt8]] = [[1, 2, 3], [], Array(repeating: 9, count: 300)]
        let packed = OrphanKeys.pack(keys)
        #expect(OrphanKeys.unpack(packed) == keys)
        #expect(OrphanKeys.unpack(Array(packed.dropLast(1))) == Array(keys.dropLast(1)))
    }

    @Test(arguments: [(1_000_000, 8), (1_000, 8), (80, 8), (1_000_000, 1_024), (20_000, 2), (9, 3)])
    func aRangeThatIsMissingIsAlwaysCounted(rows: Int, shards: Int) {
        func count(source: Int, target: Int) -> FinalCount {
            FinalCount(
                expectedSource: rows,
                countedSource: source,
                expectedTarget: rows,
                countedTarget: target,
                shards: shards
            )
        }
        #expect(count(source: rows, target: rows).agrees)
        #expect(!count(source: rows, target: rows - rows / shards).agrees)
        #expect(!count(source: rows - rows / shards, target: rows).agrees)
        #expect(!count(source: rows + rows / shards, target: rows).agrees)
        #expect(throws: TallyError.self) { try count(source: rows, target: rows - rows / shards).check() }
    }
}
