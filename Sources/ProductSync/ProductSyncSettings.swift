/// What becomes of target rows that no document has.
package enum OrphanPolicy: Sendable, Equatable {
    case report
    case delete
    /// Sets the named boolean to true, or the named timestamp to now.
    case mark(column: String)

    /// `report`, `delete` or `mark:<column>`; nil for anything else.
    package init?(_ text: String) {
        switch text {
        case "report": self = .report
        case "delete": self = .delete
        default:
            guard text.hasPrefix("mark:"), text.count > 5 else { return nil }
            self = .mark(column: String(text.dropFirst(5)))
        }
    }
}

/// The product sync's settings, checked by whoever read them.
package struct ProductSyncSettings: Sendable {
    /// Rows: 1…100,000. The unit of progress, of failure and of what a dead letter is isolated from.
    package let batchSize: Int
    package let orphanPolicy: OrphanPolicy
    /// Percent of the target's rows, 0…100, that one run may delete or mark.
    package let deletePercentMax: Int
    /// Compare everything once more after the writes.
    package let verifyFull: Bool
    package let mapping: SyncMapping
    /// Shards that a run is cut into and carries out in its own process: 1…1,024.
    package let shards: Int

    /// Shards that a run may have.
    package static let shardsRange = 1...1_024

    package init(
        batchSize: Int = 100,
        orphanPolicy: OrphanPolicy = .report,
        deletePercentMax: Int = 5,
        verifyFull: Bool = false,
        mapping: SyncMapping = .standard,
        shards: Int = 1
    ) {
        self.batchSize = batchSize
        self.orphanPolicy = orphanPolicy
        self.deletePercentMax = deletePercentMax
        self.verifyFull = verifyFull
        self.mapping = mapping
        self.shards = shards
    }
}
