package import Engine
import Logging
package import Mongo
import Runtime
import Telemetry

/// Samples of the source's `_id` values, in the server's own order.
package struct SourceSampler: Sendable {
    /// How the samples were found.
    package enum Way: String, Sendable {
        /// The server drew them.
        case sample
        /// The whole index of `_id` was read and thinned out: exact, and as long as one read of it.
        case walk
    }

    let pool: MongoPool
    let collection: String
    let context: RunContext

    /// Samples for so many parts: enough that a part is off by a few percent, few enough for one reply.
    package static func wanted(parts: Int) -> Int { min(20_000, max(2_000, parts * 500)) }

    package init(pool: MongoPool, collection: String, context: RunContext) {
        self.pool = pool
        self.collection = collection
        self.context = context
    }

    /// Positions in `_id` order, of types that a range may be cut at.
    package func positions(_ wanted: Int, _ brackets: [IDBracket]) async throws -> ([IDPosition], Way) {
        do {
            if let drawn = try await drawn(wanted) { return (drawn.filter(\.canBeBound), .sample) }
        } catch let error as TallyError where error.kind.disposition == .halt && error.kind != .cancelled {
            // A server that lacks `$sample` says so in one of many ways; the walk asks nothing but `find`.
            context.logger.event(
                .notice,
                "the source draws no samples; its ids are read instead",
                [.kind: error.kind.rawValue]
            )
        }
        return (try await walked(wanted, brackets).filter(\.canBeBound), .walk)
    }

    /// nil when the reply does not hold them all: its rest might be asked of another server.
    private func drawn(_ wanted: Int) async throws -> [IDPosition]? {
        let command = Self.command(collection, wanted)
        let reply = try await context.retrying("source.sample") {
            try await pool.withSession { try await $0.command(command) }
        }
        guard let cursor = try reply.element("cursor"), cursor.type == .document else {
            throw TallyError(.protocolViolation, during: "source.sample", "the source answered without a cursor")
        }
        let bytes = reply.bytes.span
        var positions: [IDPosition] = []
        var isWhole = false
        try BSONWalk.elements(of: bytes, in: cursor.value) { element in
            switch String(decoding: reply.bytes[element.name], as: UTF8.self) {
            case "id": isWhole = try BSONWalk.int64(bytes, at: element.value.lowerBound) == 0
            case "firstBatch":
                try BSONWalk.elements(of: bytes, in: element.value) { document in
                    try BSONWalk.elements(of: bytes, in: document.value) { field in
                        guard reply.bytes[field.name].elementsEqual("_id".utf8) else { return true }
                        positions.append(IDPosition(type: field.type, bytes: Array(reply.bytes[field.value])))
                        return false
                    }
                    return true
                }
            default: break
            }
            return true
        }
        return isWhole ? positions : nil
    }

    private static func command(_ collection: String, _ wanted: Int) -> BSONDocument {
        func one(_ name: String, _ write: (inout BSONBuilder) -> Void) -> BSONDocument {
            var inner = BSONBuilder()
            write(&inner)
            var stage = BSONBuilder()
            stage.append(name, document: inner.finish())
            return stage.finish()
        }
        var stages = BSONBuilder()
        stages.append("0", document: one("$sample") { $0.append("size", int32: Int32(wanted)) })
        stages.append("1", document: one("$project") { $0.append("_id", int32: 1) })
        // The server's own order, collation and types included.
        stages.append("2", document: one("$sort") { $0.append("_id", int32: 1) })
        var cursor = BSONBuilder()
        cursor.append("batchSize", int32: Int32(wanted + 1))
        var command = BSONBuilder()
        command.append("aggregate", string: collection)
        command.append("pipeline", array: stages.finish())
        command.append("cursor", document: cursor.finish())
        command.append("allowDiskUse", bool: true)
        return command.finish()
    }

    private func walked(_ wanted: Int, _ brackets: [IDBracket]) async throws -> [IDPosition] {
        var thinner = SampleThinner<IDPosition>(wanted: wanted)
        try await IDWalk(pool: pool, collection: collection, context: context)
            .run(brackets, in: .everything) { thinner.add($0) }
        return thinner.values
    }
}

extension IDPosition {
    /// Whether a range may begin here: a value that compares with every other of its bracket.
    var canBeBound: Bool {
        switch type {
        case .int32, .int64, .string, .objectID, .binary, .date: true
        case .double: !isNaN
        default: false
        }
    }

    private var isNaN: Bool { (try? BSONWalk.double(bytes.span, at: 0).isNaN) ?? true }
}
