/// The stages of `aggregate` that a sync, its peers and the drivers' own counting use. Runs under the store's lock.
struct AggregatePipeline {
    let namespace: String
    let collection: StoredCollection?

    func run(_ stages: [RawDocument]) throws -> [[UInt8]] {
        let scratch = Arena()
        var rest = stages[...]
        var filter = Filter.everything
        while let match = rest.first?["$match"]?.document {
            filter = .all([filter, try Filter(match)])
            rest.removeFirst()
        }
        // Counting needs no look at documents where the `_id` decides.
        if let counted = try countAll(filter, rest.first) {
            rest.removeFirst()
            return try finish(counted.compactMap { scratch.keep(document: $0) }, rest, scratch)
        }
        var documents: [RawDocument] = []
        if let collection {
            documents = collection.matches(filter).map { collection.entries[$0].document }
        }
        return try finish(documents, rest, scratch)
    }

    private func finish(
        _ documents: [RawDocument],
        _ stages: ArraySlice<RawDocument>,
        _ scratch: Arena
    ) throws -> [[UInt8]] {
        try stages.reduce(documents) { try apply($1, to: $0, scratch) }.map(\.copy)
    }

    private func countAll(_ filter: Filter, _ stage: RawDocument?) throws -> [[UInt8]]? {
        guard let first = stage?.makeIterator().nextOnce() else { return nil }
        let count = { collection?.count(filter) ?? 0 }
        switch first.name {
        case "$count":
            return count() == 0 ? [] : [Self.counted(first.value.string ?? "count", count())]
        case "$collStats":
            return [collectionStatistics()]
        case "$group":
            guard let group = first.value.document, let id = group["_id"], id.string?.hasPrefix("$") != true,
                id.type != 0x03, let sum = Array(group).last, Array(group).count == 2,
                sum.value.document?["$sum"]?.integer == 1
            else { return nil }
            return count() == 0
                ? []
                : [
                    BSONWriter.document {
                        $0.append("_id", type: id.type, raw: id.bytes)
                        $0.append(sum.name, int32: Int32(truncatingIfNeeded: count()))
                    }
                ]
        default: return nil
        }
    }

    private func apply(_ stage: RawDocument, to documents: [RawDocument], _ scratch: Arena) throws -> [RawDocument] {
        guard let first = stage.makeIterator().nextOnce() else { return documents }
        switch first.name {
        case "$match":
            guard let filter = try first.value.document.map({ try Filter($0) }) else { return documents }
            return documents.filter { filter.matches($0) }
        case "$limit": return Array(documents.prefix(first.value.integer ?? .max))
        case "$skip": return Array(documents.dropFirst(first.value.integer ?? 0))
        case "$sample":
            let size = first.value.document?["size"]?.integer ?? 0
            return Array(documents.shuffled().prefix(size))
        case "$sort":
            var sorted = documents
            try SortOrder(first.value.document).sort(&sorted)
            return sorted
        case "$project":
            guard let projection = try first.value.document.map({ try Projection($0) }) else { return documents }
            let buffer = MessageBuffer()
            return documents.compactMap { document in
                buffer.clear()
                projection.write(document, to: buffer)
                return scratch.keep(document: Array(buffer.bytes))
            }
        case "$count":
            let counted = documents.isEmpty ? [] : [Self.counted(first.value.string ?? "count", documents.count)]
            return counted.compactMap { scratch.keep(document: $0) }
        case "$group":
            guard let group = first.value.document else { return documents }
            return try Self.group(documents, by: group).compactMap { scratch.keep(document: $0) }
        default:
            throw CommandFailure(40_324, "Location40324", "Unrecognized pipeline stage name: '\(first.name)'")
        }
    }

    /// `$group` by a constant, a path or the type of a path, with `$sum`, `$min`, `$max`, `$first` and `$last`.
    private static func group(_ documents: [RawDocument], by group: RawDocument) throws -> [[UInt8]] {
        var order: [OwnedValue] = []
        var members: [OwnedValue: [RawDocument]] = [:]
        guard let id = group["_id"] else {
            throw CommandFailure(15_955, "Location15955", "a group specification must include an _id")
        }
        for document in documents {
            let key = value(id, in: document)
            if members[key] == nil { order.append(key) }
            members[key, default: []].append(document)
        }
        return try order.map { key in
            let rows = members[key] ?? []
            var writer = BSONWriter()
            writer.append("_id", type: key.type, raw: key.bytes)
            for field in group where field.name != "_id" {
                guard let accumulator = field.value.document?.makeIterator().nextOnce() else { continue }
                let result = try accumulate(accumulator, rows)
                writer.append(field.name, type: result.type, raw: result.bytes)
            }
            return writer.finish()
        }
    }

    private static func accumulate(_ accumulator: RawElement, _ rows: [RawDocument]) throws -> OwnedValue {
        let values = rows.map { value(accumulator.value, in: $0) }
        let null = OwnedValue(type: 0x0A, bytes: [])
        let isBelow = { (left: OwnedValue, right: OwnedValue) in
            left.lend { left in right.lend { BSONOrder.compare(left, $0) < 0 } }
        }
        switch accumulator.name {
        case "$sum":
            if values.allSatisfy({ $0.type != 0x01 }) {
                let total = values.reduce(0) { $0 + ($1.lend(\.integer) ?? 0) }
                return OwnedValue(type: 0x12, bytes: BSONWriter.little(Int64(total)))
            }
            let total = values.reduce(0.0) { total, value in
                total + value.lend { $0.type == 0x01 ? $0.double : Double($0.integer ?? 0) }
            }
            return OwnedValue(type: 0x01, bytes: BSONWriter.little(total.bitPattern))
        case "$min": return values.min(by: isBelow) ?? null
        case "$max": return values.max(by: isBelow) ?? null
        case "$first": return values.first ?? null
        case "$last": return values.last ?? null
        default: throw CommandFailure(15_952, "Location15952", "unknown group operator '\(accumulator.name)'")
        }
    }

    /// A constant, `"$path"` or `{$type: "$path"}`.
    private static func value(_ expression: RawValue, in document: RawDocument) -> OwnedValue {
        if let text = expression.string, text.hasPrefix("$") {
            return FieldPath(String(text.dropFirst())).value(in: document)?.owned ?? OwnedValue(type: 0x0A, bytes: [])
        }
        if let path = expression.document?["$type"]?.string, path.hasPrefix("$") {
            let code = FieldPath(String(path.dropFirst())).value(in: document)?.type
            let name = Filter.typeNames.first { $0.value == code }?.key ?? "missing"
            return OwnedValue(type: 0x02, bytes: BSONWriter.text(name))
        }
        return expression.owned
    }

    private static func counted(_ name: String, _ count: Int) -> [UInt8] {
        BSONWriter.document { $0.append(name, int32: Int32(truncatingIfNeeded: count)) }
    }

    private func collectionStatistics() -> [UInt8] {
        let count = collection?.entries.count ?? 0
        let bytes = collection?.bytes ?? 0
        return BSONWriter.document { writer in
            writer.append("ns", string: namespace)
            writer.append("count", int64: Int64(count))
            writer.append(
                "storageStats",
                document: BSONWriter.document { stats in
                    stats.append("size", int64: Int64(bytes))
                    stats.append("count", int64: Int64(count))
                    if count > 0 { stats.append("avgObjSize", int64: Int64(bytes / count)) }
                    stats.append("storageSize", int64: Int64(bytes))
                    stats.append("nindexes", int32: 1)
                    stats.append("totalIndexSize", int64: Int64(count * 20))
                    stats.append("totalSize", int64: Int64(bytes + count * 20))
                }
            )
        }
    }
}
