import Postgres
import Runtime
import Synchronization

/// Who was erased, by the SHA-256 of the token: read once a run, and again only when somebody was erased meanwhile.
final class ErasureList: Sendable {
    /// 64 MiB are the bound of a run; so many digests take most of it.
    private static let max = 1_000_000
    private let known = Mutex<Set<[UInt8]>?>(nil)

    /// The digests as of now. Throws `.limitExceeded` when they are more than a run can hold.
    func now(on warehouse: PGConnection) async throws -> Set<[UInt8]> {
        let count = try await warehouse.query("SELECT count(*) FROM analytics.erasures").rows.first?[0].int()
        // Erasures are only ever added.
        if let known = known.withLock({ $0 }), known.count == count { return known }
        guard let count, count <= Self.max else {
            throw TallyError(.limitExceeded, during: "analytics.erasures", "more than \(Self.max) persons were erased")
        }
        var digests: Set<[UInt8]> = []
        digests.reserveCapacity(count)
        try await warehouse.stream("SELECT token_digest FROM analytics.erasures") { rows in
            for row in rows { if let digest = row[0].bytes { digests.insert(digest) } }
        }
        known.withLock { $0 = digests }
        return digests
    }
}
