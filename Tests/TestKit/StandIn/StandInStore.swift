import Foundation

/// The databases, and the commands that read them.
final class StandInStore: @unchecked Sendable {
    // Not checked by the compiler: documents are lent as pointers. Every entry takes `lock` first.
    private let lock = NSLock()
    private var collections: [String: StoredCollection] = [:]
    private var cursors: [Int64: OpenCursor] = [:]
    private var lastCursor: Int64 = 0x1000_0000

    func use<Result>(_ namespace: String, _ body: (StoredCollection) throws -> Result) rethrows -> Result {
        try lock.withLock { try body(collection(namespace)) }
    }

    func drop(_ namespace: String) -> Bool {
        lock.withLock { collections.removeValue(forKey: namespace) != nil }
    }

    func dropDatabase(_ database: String) {
        lock.withLock { collections = collections.filter { !$0.key.hasPrefix(database + ".") } }
    }

    func forgetCursors() {
        lock.withLock { cursors = [:] }
    }

    var openCursorCount: Int { lock.withLock { cursors.count } }

    /// Names and sizes of the collections of a database, or of all with their databases.
    func sizes(of database: String?) -> [(name: String, count: Int, bytes: Int)] {
        lock.withLock {
            collections.compactMap { name, collection in
                guard let database else { return (name, collection.entries.count, collection.bytes) }
                guard name.hasPrefix(database + ".") else { return nil }
                return (String(name.dropFirst(database.count + 1)), collection.entries.count, collection.bytes)
            }
            .sorted { $0.name < $1.name }
        }
    }

    private func collection(_ namespace: String) -> StoredCollection {
        if let existing = collections[namespace] { return existing }
        let made = StoredCollection()
        collections[namespace] = made
        return made
    }
}

extension StandInStore {
    func find(_ command: StandInCommand, to buffer: MessageBuffer) throws {
        let namespace = try command.namespace()
        let body = command.body
        let filter = try command.filter("filter")
        let order = try SortOrder(body["sort"]?.document)
        let limit = body["limit"]?.integer ?? 0
        let isSingle = limit < 0 || body["singleBatch"]?.isTrue == true
        let projection = try body["projection"]?.document.map { try Projection($0) } ?? .identity
        var cursor = OpenCursor(
            namespace: namespace,
            source: .scan(filter, descending: order.reversesIDs ?? false, after: nil),
            projection: projection,
            skip: body["skip"]?.integer ?? 0,
            remaining: limit == 0 ? .max : abs(limit)
        )
        lock.withLock {
            if order.reversesIDs == nil {
                cursor.source = .list(sorted(namespace, filter, order, projection, cursor.skip), next: 0)
            }
            write(cursor, countMax: body["batchSize"]?.integer ?? 101, isSingle: isSingle, id: nil, to: buffer)
        }
    }

    private func sorted(
        _ namespace: String,
        _ filter: Filter,
        _ order: SortOrder,
        _ projection: Projection,
        _ skip: Int
    ) -> [[UInt8]] {
        guard let collection = collections[namespace] else { return [] }
        var documents = collection.matches(filter).map { collection.entries[$0].document }
        order.sort(&documents)
        let scratch = MessageBuffer()
        return documents.dropFirst(skip).map { document in
            scratch.clear()
            projection.write(document, to: scratch)
            return Array(scratch.bytes)
        }
    }

    func getMore(_ command: StandInCommand, to buffer: MessageBuffer) throws {
        try lock.withLock {
            guard let id = command.body["getMore"]?.integer.map(Int64.init), let cursor = cursors[id] else {
                throw CommandFailure(43, "CursorNotFound", "cursor id not found")
            }
            cursors[id] = nil
            let count = command.body["batchSize"]?.integer ?? 0
            write(cursor, countMax: count > 0 ? count : .max, isSingle: false, id: id, to: buffer)
        }
    }

    func killCursors(_ command: StandInCommand) -> [UInt8] {
        let wanted = command.body["cursors"]?.document.map { $0.compactMap(\.value.integer).map(Int64.init) } ?? []
        return lock.withLock {
            let killed = wanted.filter { cursors.removeValue(forKey: $0) != nil }
            let unknown = wanted.filter { !killed.contains($0) }
            return BSONWriter.document { reply in
                for (name, ids) in [
                    ("cursorsKilled", killed), ("cursorsNotFound", unknown), ("cursorsAlive", []),
                    ("cursorsUnknown", []),
                ] {
                    let list = BSONWriter.document { list in
                        for (index, id) in ids.enumerated() { list.append("\(index)", int64: id) }
                    }
                    reply.append(name, type: 0x04, raw: list)
                }
                reply.append("ok", double: 1)
            }
        }
    }

    func aggregate(_ command: StandInCommand, to buffer: MessageBuffer) throws {
        // `aggregate: 1` is about the database; none of its stages is known here.
        let namespace = try command.namespace()
        let stages = command.body["pipeline"]?.document.map { $0.compactMap(\.value.document) } ?? []
        let count = command.body["cursor"]?.document?["batchSize"]?.integer ?? 101
        try lock.withLock {
            let pipeline = AggregatePipeline(namespace: namespace, collection: collections[namespace])
            let cursor = OpenCursor(namespace: namespace, source: .list(try pipeline.run(stages), next: 0))
            write(cursor, countMax: count, isSingle: false, id: nil, to: buffer)
        }
    }

    func count(_ command: StandInCommand) throws -> [UInt8] {
        let namespace = try command.namespace()
        let filter = try command.filter("query")
        var count = lock.withLock { collections[namespace]?.count(filter) ?? 0 }
        count = max(0, count - (command.body["skip"]?.integer ?? 0))
        if let limit = command.body["limit"]?.integer, limit != 0 { count = min(count, abs(limit)) }
        return BSONWriter.document {
            $0.append("n", int32: Int32(truncatingIfNeeded: count))
            $0.append("ok", double: 1)
        }
    }

    /// `{cursor: {firstBatch|nextBatch: […], id, ns}, ok: 1}`; the caller holds the lock.
    private func write(
        _ cursor: OpenCursor,
        countMax: Int,
        isSingle: Bool,
        id: Int64?,
        to buffer: MessageBuffer
    ) {
        var cursor = cursor
        let reply = buffer.open()
        buffer.append(byte: 0x03)
        buffer.append(Array("cursor\0".utf8))
        let inner = buffer.open()
        buffer.append(byte: 0x04)
        buffer.append(Array((id == nil ? "firstBatch\0" : "nextBatch\0").utf8))
        let batch = buffer.open()
        let isEnd = cursor.writeBatch(countMax, from: collections[cursor.namespace], to: buffer)
        buffer.close(batch)
        var openID: Int64 = 0
        if !isEnd, !isSingle {
            lastCursor += 1
            openID = id ?? lastCursor
            cursors[openID] = cursor
        }
        buffer.append(byte: 0x12)
        buffer.append(Array("id\0".utf8))
        buffer.append(openID)
        buffer.append(byte: 0x02)
        buffer.append(Array("ns\0".utf8) + BSONWriter.text(cursor.namespace))
        buffer.close(inner)
        buffer.append(byte: 0x01)
        buffer.append(Array("ok\0".utf8))
        buffer.append(Double(1).bitPattern)
        buffer.close(reply)
    }
}
