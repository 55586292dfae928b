import Engine
import Runtime

extension SyncTally {
    /// Adds what a shard counted, as it was stored.
    mutating func add(counts: [String: Int], details: JSONValue) {
        func count(_ name: String) -> Int { counts[name] ?? 0 }
        source += count("totalProductsInSource")
        target += count("totalProductsInTarget")
        missing += count("missingProducts")
        stale += count("staleProducts")
        orphaned += count("orphanedProducts")
        unchanged += count("unchangedProducts")
        inserted += count("insertedProducts")
        updated += count("updatedProducts")
        deleted += count("deletedProducts")
        marked += count("markedProducts")
        newerInTarget += count("newerInTarget")
        changedMeanwhile += count("changedMeanwhile")
        deadLetters += count("deadLetters")
        batches += count("batches")
        orphansDeferred += count("orphansDeferred")
        orphansMarkedBefore += count("orphansMarkedBefore")
        orphansKept += count("orphansKept")
        writtenAgain += count("writtenAgain")
        func add(_ ids: inout [String], _ name: String) {
            let new = (details[name]?.array ?? []).compactMap(\.string)
            ids += new.prefix(max(0, Self.idsMax - ids.count))
        }
        add(&missingIDs, "missingProductIds")
        add(&orphanedIDs, "extraProductIds")
        add(&warnings, "errors")
        let rows = (details["staleProducts"]?.array ?? []).compactMap { row -> Stale? in
            guard let id = row["id"]?.string else { return nil }
            return Stale(id: id, columns: (row["columns"]?.array ?? []).compactMap(\.string))
        }
        staleRows += rows.prefix(max(0, Self.idsMax - staleRows.count))
        mergedStreams = mergedStreams && details["compare"]?.string != "lookup"
    }

    /// What this shard says of itself.
    func summary(_ proof: Proof) -> (counts: [String: Int], details: JSONValue) {
        var members = details.object ?? [:]
        members["proof"] = .string(proof.rawValue)
        return (counts, .object(members))
    }
}
