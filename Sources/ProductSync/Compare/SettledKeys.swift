/// Keys remembered by their hash, so that a hundred thousand cost little whatever their length.
struct KeyHashes: Equatable {
    private var hashes: Set<Int> = []

    /// Beyond this nothing more is remembered.
    static let countMax = 200_000

    var count: Int { hashes.count }

    mutating func insert(_ key: [UInt8]) {
        if hashes.count < Self.countMax { hashes.insert(key.hashValue) }
    }

    func contains(_ key: [UInt8]) -> Bool { hashes.contains(key.hashValue) }
    mutating func formUnion(_ other: KeyHashes) { hashes.formUnion(other.hashes) }
}

/// What a run knows about single keys when it compares once more (INV-11).
struct SettledKeys: Equatable {
    /// Rows that were left alone because somebody changed them meanwhile: these may still differ.
    var excused = KeyHashes()
    /// Orphans that were deleted or marked: these may not be found again.
    var removed = KeyHashes()
}

/// What the second compare found that nothing excuses: a shop that goes on makes differences too, so the keys are
/// settled once more before they count.
struct Unproved {
    var missing = 0
    var stale = 0
    var orphaned = 0
    /// Keys of missing and stale rows, and of documents that turned bad since.
    var keys: [[UInt8]] = []

    /// With so many no shop's daily changes are to blame: they are not settled once more.
    static let keysMax = 100_000

    var isProof: Bool { missing + stale + orphaned == 0 }
}
