package import Engine
import Runtime

extension SyncRange {
    private static let nothing: JSONValue = ["nothing": true]

    /// As the shard's row keeps it; a side that holds nothing says so in the lower bound.
    package var bounds: ShardBounds {
        let (sourceLower, sourceUpper) = Self.ends(source) { $0.json }
        let (targetLower, targetUpper) = Self.ends(target) { .string($0) }
        return ShardBounds(
            lower: ["source": sourceLower, "target": targetLower],
            upper: ["source": sourceUpper, "target": targetUpper]
        )
    }

    /// Throws `.schemaMismatch` for bounds that this version does not understand.
    package init(_ bounds: ShardBounds, pairing: Pairing) throws {
        self.init(
            pairing: pairing,
            source: try Self.side(bounds, "source") { IDPosition($0) },
            target: try Self.side(bounds, "target") { $0.string }
        )
    }

    private static func ends<Bound>(_ side: SideRange<Bound>, _ json: (Bound) -> JSONValue) -> (JSONValue, JSONValue) {
        switch side {
        case .nothing: (nothing, .null)
        case .between(let lower, let upper): (lower.map(json) ?? .null, upper.map(json) ?? .null)
        }
    }

    private static func side<Bound>(
        _ bounds: ShardBounds,
        _ name: String,
        _ read: (JSONValue) -> Bound?
    ) throws -> SideRange<Bound> {
        func end(_ value: JSONValue?) throws -> Bound? {
            guard let value, value != .null else { return nil }
            guard let bound = read(value) else {
                throw TallyError(.schemaMismatch, during: "shard.bounds", "a shard has bounds that cannot be read")
            }
            return bound
        }
        let lower = bounds.lower?[name]
        if lower == nothing { return .nothing }
        return .between(try end(lower), try end(bounds.upper?[name]))
    }
}
