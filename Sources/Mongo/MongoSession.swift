import CLibMongoC
import Dispatch
import Runtime
import Synchronization

/// One client of the driver and the thread its calls run on, one after the other.
///
/// Not an actor: a call that its task no longer waits for still occupies the thread, and a method isolated to that
/// thread
/// could not return before it. The calls themselves never run on a thread of the cooperative pool.
package final class MongoSession: Sendable {
    /// Bytes that `findAll` collects at most.
    package static let findAllBytesMax = 64 << 20

    private let queue = DispatchQueue(label: "tallyman.mongo.session")
    private let lease: Mutex<ClientLease?>
    private let database: String

    init(_ lease: ClientLease, database: String) {
        self.lease = Mutex(lease)
        self.database = database
    }

    func end() {
        lease.withLock { $0 = nil }
    }

    /// Runs one find and hands each document, in order, to `each` on the session's own thread; returns how many.
    ///
    /// The span is the driver's own memory and ends with the call of `each`. What `each` throws ends the find and is
    /// thrown on. A cancelled task gets `CancellationError` at once and `each` is not called again; the server's work
    /// and this session's slot are then given up when the driver's call under way returns, within the socket timeout.
    package func find(_ request: MongoFind, each: @escaping @Sendable (Span<UInt8>) throws -> Void) async throws -> Int
    {
        try await run { [database] (client, call: DriverCall<Int>) in
            try Self.find(client, database, request, call, each)
        }
    }

    /// Runs one find whose first reply is its last, and hands the array of documents in it to `take` on the
    /// session's own thread.
    ///
    /// For pages in key order: nothing is left open on the server, and no document costs a call of the driver. Fewer
    /// than `limit` documents may come, where they are larger than a reply may be (16 MiB), so only an empty array
    /// tells that there are no more. The span is the driver's own memory, a BSON array, and ends with the call of
    /// `take`; what `take` throws is thrown on. Cancellation is as in `find`. Throws `.protocolViolation` for a reply
    /// without documents' array.
    package func findPage(_ request: MongoFind, take: @escaping @Sendable (Span<UInt8>) throws -> Void) async throws {
        try await run { [database] (client, call: DriverCall<Void>) in
            let collection = CollectionHandle(client, database: database, name: request.collection)
            let command = try BSONHandle(request.singleReplyCommand)
            var error = bson_error_t()
            var done = false
            guard let pointer = tally_read_command(collection.pointer, command.pointer, &done, &error) else {
                throw TallyError(.limitExceeded, during: "mongo.find", "there is no memory for a reply")
            }
            let reply = ReplyHandle(pointer: pointer)
            guard done else { throw MongoDriver.error(&error, reply: reply.pointer, during: "mongo.find") }
            let bytes = MongoDriver.bytes(reply.pointer)
            let documents = try Self.firstBatch(bytes.span)
            guard try call.deliver({ try take(bytes.span.extracting(documents)) }) else { throw CancellationError() }
        }
    }

    private static func firstBatch(_ reply: Span<UInt8>) throws -> Range<Int> {
        func value(_ name: StaticString, _ type: BSONType, in range: Range<Int>?) throws -> Range<Int> {
            var found: Range<Int>?
            try BSONWalk.elements(of: reply, in: range) { element in
                guard element.type == type, reply.equals(element.name, name) else { return true }
                found = element.value
                return false
            }
            guard let found else {
                throw TallyError(.protocolViolation, during: "mongo.find", "the reply to a find has no \(name)")
            }
            return found
        }
        return try value("firstBatch", .array, in: try value("cursor", .document, in: nil))
    }

    /// All documents of one find, for small results. Throws `.limitExceeded` beyond `findAllBytesMax`.
    package func findAll(_ request: MongoFind) async throws -> [BSONDocument] {
        let collected = Mutex<(documents: [BSONDocument], bytes: Int)>(([], 0))
        _ = try await find(request) { document in
            let copy = BSONDocument(bytes: document.withUnsafeBufferPointer { Array($0) })
            try collected.withLock { collected in
                collected.bytes += copy.bytes.count
                guard collected.bytes <= Self.findAllBytesMax else {
                    throw TallyError(.limitExceeded, during: "mongo.find", "more documents than fit at once")
                }
                collected.documents.append(copy)
            }
        }
        return collected.withLock { $0.documents }
    }

    /// How many documents match, counted one by one by the server (an aggregate with `$match` and `$group`).
    package func count(_ collection: String, filter: BSONDocument = .empty) async throws -> Int {
        try await run { [database] (client, _: DriverCall<Int>) in
            let handle = CollectionHandle(client, database: database, name: collection)
            let filter = try BSONHandle(filter)
            return try Self.count("mongo.count") { tally_count(handle.pointer, filter.pointer, $0, $1) }
        }
    }

    /// The collection's size by its metadata: quick, but wrong after a crash or on shards. Never to be relied on for a
    /// deletion.
    package func estimatedCount(_ collection: String) async throws -> Int {
        try await run { [database] (client, _: DriverCall<Int>) in
            let handle = CollectionHandle(client, database: database, name: collection)
            return try Self.count("mongo.count") { tally_estimated_count(handle.pointer, $0, $1) }
        }
    }

    /// Runs one command in the settings' database and returns the reply. Throws for `ok: 0`.
    package func command(_ command: BSONDocument) async throws -> BSONDocument {
        try await run { [database] (client, _: DriverCall<BSONDocument>) in
            let command = try BSONHandle(command)
            var error = bson_error_t()
            var reply: OpaquePointer?
            let done = tally_command(client, database, command.pointer, &reply, &error)
            defer { bson_destroy(reply) }
            guard done, let reply else { throw MongoDriver.error(&error, reply: reply, during: "mongo.command") }
            return MongoDriver.copy(reply)
        }
    }

    private func run<R: Sendable>(
        _ work: @escaping @Sendable (_ client: OpaquePointer, _ call: DriverCall<R>) throws -> R
    ) async throws -> R {
        try Task.checkCancellation()
        guard let lease = lease.withLock({ $0 }) else {
            throw TallyError(.cancelled, during: "mongo.session", "the session was used after its end")
        }
        let call = DriverCall<R>()
        return try await withTaskCancellationHandler {
            try await withCheckedThrowingContinuation { continuation in
                guard call.begin(continuation) else { return }
                queue.async { call.finish(Result { try work(try lease.client(), call) }) }
            }
        } onCancel: {
            call.cancel()
        }
    }

    private static func find(
        _ client: OpaquePointer,
        _ database: String,
        _ request: MongoFind,
        _ call: DriverCall<Int>,
        _ each: (Span<UInt8>) throws -> Void
    ) throws -> Int {
        let collection = CollectionHandle(client, database: database, name: request.collection)
        let filter = try BSONHandle(request.filter)
        let options = try BSONHandle(request.options)
        let cursor = CursorHandle(
            pointer: mongoc_collection_find_with_opts(collection.pointer, filter.pointer, options.pointer, nil)
        )
        var count = 0
        var document: OpaquePointer?
        while mongoc_cursor_next(cursor.pointer, &document), let current = document {
            let bytes = MongoDriver.bytes(current)
            guard try call.deliver({ try each(bytes.span) }) else { throw CancellationError() }
            count += 1
        }
        var error = bson_error_t()
        var reply: OpaquePointer?
        if mongoc_cursor_error_document(cursor.pointer, &error, &reply) {
            throw MongoDriver.error(&error, reply: reply, during: "mongo.find")
        }
        return count
    }

    private static func count(
        _ stage: StaticString,
        _ call: (UnsafeMutablePointer<OpaquePointer?>, UnsafeMutablePointer<bson_error_t>) -> Int64
    ) throws -> Int {
        var error = bson_error_t()
        var reply: OpaquePointer?
        let count = call(&reply, &error)
        defer { bson_destroy(reply) }
        guard count >= 0 else { throw MongoDriver.error(&error, reply: reply, during: stage) }
        return Int(count)
    }
}

extension Span<UInt8> {
    fileprivate func equals(_ range: Range<Int>, _ name: StaticString) -> Bool {
        guard range.count == name.utf8CodeUnitCount else { return false }
        return range.indices.allSatisfy { self[$0] == name.utf8Start[$0 - range.lowerBound] }
    }
}
