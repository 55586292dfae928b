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

/// Differences of the second compare that nothing excuses.
struct Unproved: Equatable {
    var missing = 0
    var stale = 0
    var orphaned = 0
}
