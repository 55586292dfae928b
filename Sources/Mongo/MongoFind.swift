/// One `find`: what to read, in which order, how much of it.
package struct MongoFind: Sendable {
    package var collection: String
    package var filter: BSONDocument
    package var sort: BSONDocument?
    package var projection: BSONDocument?
    /// Documents at most; 0 for all.
    package var limit: Int
    /// Documents in one reply of the server; 0 leaves it to the server.
    package var batchSize: Int
    /// How long the server may work on it; the socket timeout holds besides.
    package var maxTime: Duration?
    /// The index to use, as its key document.
    package var hint: BSONDocument?
    package var readConcernMajority: Bool

    package init(
        collection: String,
        filter: BSONDocument = .empty,
        sort: BSONDocument? = nil,
        projection: BSONDocument? = nil,
        limit: Int = 0,
        batchSize: Int = 0,
        maxTime: Duration? = nil,
        hint: BSONDocument? = nil,
        readConcernMajority: Bool = false
    ) {
        self.collection = collection
        self.filter = filter
        self.sort = sort
        self.projection = projection
        self.limit = limit
        self.batchSize = batchSize
        self.maxTime = maxTime
        self.hint = hint
        self.readConcernMajority = readConcernMajority
    }

    /// The `find` command whose only reply brings everything: at most `limit` documents and 16 MiB of them.
    var singleReplyCommand: BSONDocument {
        var command = BSONBuilder()
        command.append("find", string: collection)
        command.append("filter", document: filter)
        if let sort { command.append("sort", document: sort) }
        if let projection { command.append("projection", document: projection) }
        if let hint { command.append("hint", document: hint) }
        if limit > 0 { command.append("limit", int64: Int64(limit)) }
        command.append("batchSize", int64: Int64(min(max(limit, 1), Int(Int32.max))))
        command.append("singleBatch", bool: true)
        if let maxTime { command.append("maxTimeMS", int64: max(1, maxTime.milliseconds)) }
        if readConcernMajority { command.append("readConcern", document: Self.majority) }
        return command.finish()
    }

    private static var majority: BSONDocument {
        var concern = BSONBuilder()
        concern.append("level", string: "majority")
        return concern.finish()
    }

    /// The options document of `mongoc_collection_find_with_opts`.
    var options: BSONDocument {
        var options = BSONBuilder()
        if let sort { options.append("sort", document: sort) }
        if let projection { options.append("projection", document: projection) }
        if limit > 0 { options.append("limit", int64: Int64(limit)) }
        if batchSize > 0 {
            // A server keeps the cursor open when a batch ends exactly at the limit, which costs a killCursors per
            // page; one more in the batch closes it (CRUD specification, "Combining Limit and Batch Size").
            let size = limit > 0 && batchSize >= limit ? limit + 1 : batchSize
            options.append("batchSize", int64: Int64(min(size, Int(Int32.max))))
        }
        if let maxTime { options.append("maxTimeMS", int64: max(1, maxTime.milliseconds)) }
        if let hint { options.append("hint", document: hint) }
        if readConcernMajority { options.append("readConcern", document: Self.majority) }
        return options.finish()
    }
}

extension Duration {
    /// Whole milliseconds, rounded down; clamped to what an Int32 holds, as the driver's options do.
    var milliseconds: Int64 {
        let (seconds, attoseconds) = components
        guard seconds < Int64(Int32.max) / 1000 else { return Int64(Int32.max) }
        return seconds * 1000 + attoseconds / 1_000_000_000_000_000
    }
}
