import Mongo
package import Runtime

/// The part of a side that a shard works on, half-open.
package enum SideRange<Bound: Sendable & Equatable>: Sendable, Equatable {
    /// From `lower` on, up to but without `upper`; an absent bound leaves that end open.
    case between(Bound?, Bound?)
    /// Nothing: there were fewer distinct keys to cut at than shards.
    case nothing

    package static var everything: SideRange { .between(nil, nil) }

    /// `count` ranges cut at `bounds`, which ascend: each value of the side's order is in exactly one.
    ///
    /// The first and the last range that are not `nothing` are open-ended. With fewer bounds than `count - 1`, the
    /// ranges that are too many are `nothing`.
    package static func cut(at bounds: [Bound], into count: Int) -> [SideRange] {
        let bounds = Array(bounds.prefix(max(0, count - 1)))
        return (0..<max(0, count)).map { index in
            guard index <= bounds.count else { return .nothing }
            return .between(index == 0 ? nil : bounds[index - 1], index == bounds.count ? nil : bounds[index])
        }
    }

    /// Whether `ranges` are as `cut` makes them: no gap between two, none twice, the ends open.
    package static func areWhole(_ ranges: [SideRange]) -> Bool {
        let bounds = ranges.compactMap { range -> Bound? in
            guard case .between(_, let upper) = range else { return nil }
            return upper
        }
        return !ranges.isEmpty && ranges == cut(at: bounds, into: ranges.count)
    }
}

/// What one shard of the product sync works on.
///
/// Documents are cut by MongoDB's order of `_id` values of every type, rows by the key column's own order: each
/// document and each row belongs to exactly one shard, whatever its key, also one that neither side knew when the cut
/// was made.
package struct SyncRange: Sendable, Equatable {
    /// How the two sides of a range belong together.
    package enum Pairing: String, Sendable {
        /// Both sides sort alike and are cut at the same keys: the streams may be merged.
        case aligned
        /// The sides are cut for themselves: pages are looked up, on both sides whole.
        case independent
    }

    package let pairing: Pairing
    package let source: SideRange<IDPosition>
    package let target: SideRange<String>

    package init(pairing: Pairing, source: SideRange<IDPosition>, target: SideRange<String>) {
        self.pairing = pairing
        self.source = source
        self.target = target
    }

    /// Whether both sides of the range may be merged: its bounds are of the one bracket that the source has by now.
    func canMerge(_ brackets: [IDBracket]) -> Bool {
        guard pairing == .aligned else { return false }
        guard case .between(let lower, let upper) = source else { return true }
        return [lower, upper].compactMap { $0?.bracket }.allSatisfy { brackets.isEmpty || brackets.contains($0) }
    }

    package static let everything = SyncRange(pairing: .aligned, source: .everything, target: .everything)
}

extension IDPosition {
    /// `{"type": 7, "hex": "..."}`: the type's BSON number and the value's bytes.
    package var json: JSONValue {
        var hex: [UInt8] = []
        HexText.append(bytes.span, 0..<bytes.count, to: &hex)
        return ["type": .int(Int(type.rawValue)), "hex": .string(String(decoding: hex, as: UTF8.self))]
    }

    package init?(_ json: JSONValue) {
        guard let number = json["type"]?.int, let raw = UInt8(exactly: number), let type = BSONType(rawValue: raw),
            let hex = json["hex"]?.string, let bytes = HexText.bytes(ofHex: hex, count: hex.utf8.count / 2)
        else { return nil }
        self.init(type: type, bytes: bytes)
    }
}
