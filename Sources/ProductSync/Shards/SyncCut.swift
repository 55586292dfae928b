package import Engine
import Mongo
package import Postgres
import Runtime

/// Cuts the two sides into ranges of equal size, from samples of what they hold.
package struct SyncCut: Sendable {
    let source: SourceReader
    let sampler: SourceSampler
    let target: PGPool
    let plan: ColumnPlan
    let orphans: OrphanPolicy
    let context: RunContext

    package init(
        source: SourceReader,
        sampler: SourceSampler,
        target: PGPool,
        plan: ColumnPlan,
        orphans: OrphanPolicy,
        context: RunContext
    ) {
        self.orphans = orphans
        self.source = source
        self.sampler = sampler
        self.target = target
        self.plan = plan
        self.context = context
    }

    /// `count` ranges. Where both sides sort alike they are cut at the same keys; elsewhere each by samples of its own.
    package func make(_ count: Int) async throws -> ShardCut {
        let brackets = try await source.brackets()
        let (positions, way) = try await sampler.positions(SourceSampler.wanted(parts: count), brackets)
        let ranges: [SyncRange]
        let pairing: SyncRange.Pairing
        if let keyed = aligned(positions, brackets) {
            pairing = .aligned
            let bounds = EqualParts.bounds(keyed, into: count)
            let sources = SideRange.cut(at: bounds.map(\.id), into: count)
            let targets = SideRange.cut(at: bounds.map(\.key), into: count)
            ranges = zip(sources, targets).map { SyncRange(pairing: .aligned, source: $0, target: $1) }
        } else {
            pairing = .independent
            let sources = SideRange.cut(at: EqualParts.bounds(positions, into: count), into: count)
            let targets = SideRange.cut(at: try await targetBounds(count), into: count)
            ranges = zip(sources, targets).map { SyncRange(pairing: .independent, source: $0, target: $1) }
        }
        return ShardCut(
            facts: [
                "shards": .int(count), "pairing": .string(pairing.rawValue), "sampledBy": .string(way.rawValue),
                "samples": .int(positions.count), "mapping": mapping(),
            ],
            shards: ranges.map(\.bounds)
        )
    }

    private struct Keyed: Equatable {
        let id: IDPosition
        let key: String
    }

    /// The samples with their keys; nil where the two sides share no order.
    private func aligned(_ positions: [IDPosition], _ brackets: [IDBracket]) -> [Keyed]? {
        guard brackets.count <= 1, brackets.allSatisfy({ plan.key.order(with: $0) != nil }) else { return nil }
        var encoder = RowEncoder(plan: plan)
        return positions.filter { brackets.contains($0.bracket ?? .minKey) }.compactMap { position in
            var document = BSONBuilder()
            document.append("_id", raw: position.type, position.bytes)
            let bytes = document.finish().bytes
            var row = RowBatch()
            // What the key column cannot hold is no row: it is cut nowhere, and belongs to the range around it.
            do throws(FieldRejection) {
                try row.appendRow { out throws(FieldRejection) in try encoder.appendKeyOnly(bytes.span, to: &out) }
            } catch {
                return nil
            }
            return Keyed(id: position, key: plan.key.text(row.key(0)))
        }
    }

    /// Distinct keys of the target in its own order, from samples of its pages.
    private func targetBounds(_ count: Int) async throws -> [String] {
        guard count > 1 else { return [] }
        let key = PGIdentifier.quote(plan.columns[0].name)
        let shares = (1..<count).map { "\(Double($0) / Double(count))" }.joined(separator: ",")
        let wanted = SourceSampler.wanted(parts: count)
        let rowsKnown = try await rowsKnown()
        let keys = try await context.retrying("target.sample") {
            try await target.withConnection { connection in
                // Pages are drawn, not rows: ten times the wanted rows come from enough of them.
                let percent = rowsKnown > 0 ? min(100, max(0.001, 1_000 * Double(wanted) / rowsKnown)) : 100
                return try await connection.query(
                    "SELECT k::text FROM (SELECT unnest(percentile_disc(ARRAY[\(shares)]::float8[]) "
                        + "WITHIN GROUP (ORDER BY \(key))) AS k FROM \(plan.tableSQL) "
                        + "TABLESAMPLE SYSTEM (\(percent)) WHERE \(key) IS NOT NULL) cuts WHERE k IS NOT NULL"
                ).rows.map { try $0[0].string() }
            }
        }
        var bounds: [String] = []
        for key in keys where key != bounds.last { bounds.append(key) }
        return bounds
    }

    /// About how many rows the target has, its partitions' together; by its size, at 100 bytes a row, where nobody has
    /// analysed it.
    package func rowsKnown() async throws -> Double {
        try await context.retrying("target.sample") {
            try await target.withConnection { connection in
                try await connection.query(
                    """
                    SELECT coalesce(sum(CASE WHEN reltuples > 0 THEN reltuples ELSE pg_relation_size(oid) / 100 END), 0)
                        ::float8
                    FROM pg_class WHERE relkind <> 'p' AND (oid = $1::text::regclass
                        OR oid IN (SELECT relid FROM pg_partition_tree($1::text::regclass)))
                    """,
                    [.text(plan.tableSQL)]
                ).rows.first?[0].double() ?? 0
            }
        }
    }

    /// What all shards of a run must be told alike: what each column is filled from, and on which servers.
    func mapping() -> JSONValue {
        [
            "source": .string(source.pool.settings.label), "collection": .string(plan.collection),
            "target": .string(target.settings.databaseLabel), "table": .string(plan.tableSQL),
            "columns": .array(plan.columns.map { .string($0.mapping) }),
            "version": plan.versionColumn.map { .string(plan.columns[$0].name) } ?? .null,
            "orphans": .string("\(orphans)"),
        ]
    }

    /// Whether a run with these facts was cut for just this.
    func fits(_ facts: JSONValue, shards: Int) -> Bool {
        facts["shards"]?.int == shards && facts["mapping"] == mapping()
    }

    /// Refuses to join a run that was cut for something else. Throws `.requestInvalid`.
    func check(_ facts: JSONValue, shards: Int, run: RunID) throws {
        if let cut = facts["shards"]?.int, cut != shards {
            throw TallyError(
                .requestInvalid,
                during: "shards.join",
                "run \(run) is cut into \(cut) shards, not \(shards)",
                remedy: "Ask for a shard of \(cut), or wait for that run to end, or cancel it."
            )
        }
        guard facts["mapping"] == mapping() else {
            throw TallyError(
                .requestInvalid,
                during: "shards.join",
                "run \(run) was cut for another mapping, orphan policy or database",
                remedy: "Give every shard the same SYNC_MAPPING, SYNC_ORPHANS and databases."
            )
        }
    }
}

extension ColumnPlan.Column {
    /// All that decides what stands in the column.
    fileprivate var mapping: String {
        let path = path.map { String(decoding: $0, as: UTF8.self) }.joined(separator: ".")
        return "\(name) \(type) <- \(path), \(missing)"
    }
}
