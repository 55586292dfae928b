/// One request as it came: its name, its body and, in OP_MSG, the document sequences beside it.
struct StandInCommand {
    /// In lower case: `isMaster` and `ismaster` are one command.
    let name: String
    let spelledName: String
    let body: RawDocument
    let sequences: [String: [RawDocument]]

    init?(_ body: RawDocument, sequences: [String: [RawDocument]]) {
        guard let first = body.makeIterator().nextOnce() else { return nil }
        spelledName = first.name
        name = first.name.lowercased()
        self.body = body
        self.sequences = sequences
    }

    var database: String { body["$db"]?.string ?? "admin" }

    /// The collection it is about, for those that have one.
    var collection: String? {
        name == "getmore" ? body["collection"]?.string : body[spelledName]?.string
    }

    func namespace() throws -> String {
        guard let collection else { throw CommandFailure(73, "InvalidNamespace", "a collection name is missing") }
        return "\(database).\(collection)"
    }

    /// Documents of a write: an array in the body, or a sequence.
    func documents(_ field: String) -> [RawDocument] {
        if let sequence = sequences[field] { return sequence }
        return (body[field]?.document).map { $0.compactMap(\.value.document) } ?? []
    }

    func filter(_ field: String) throws -> Filter {
        try body[field]?.document.map { try Filter($0) } ?? .everything
    }
}

/// A result being read in batches.
struct OpenCursor {
    enum Source {
        /// Goes on behind the last `_id` given out, so documents that come or go meanwhile are seen or missed as in
        /// an index scan.
        case scan(Filter, descending: Bool, after: OwnedValue?)
        case list([[UInt8]], next: Int)
    }

    let namespace: String
    var source: Source
    var projection = Projection.identity
    var skip = 0
    var remaining = Int.max

    static let batchBytesMax = 16 << 20

    /// Writes a batch's documents; true when there will be no more.
    ///
    /// A batch that ends just where the limit or the documents end leaves the cursor open, as the server does.
    mutating func writeBatch(_ countMax: Int, from collection: StoredCollection?, to buffer: MessageBuffer) -> Bool {
        let start = buffer.count
        var written = 0
        func hasRoom(_ size: Int) -> Bool { written == 0 || buffer.count - start + size <= Self.batchBytesMax }
        switch source {
        case .list(let documents, var next):
            while written < countMax, next < documents.count, remaining > 0, hasRoom(documents[next].count) {
                buffer.appendArrayKey(type: 0x03, index: written)
                buffer.append(documents[next])
                next += 1
                written += 1
                remaining -= 1
            }
            source = .list(documents, next: next)
            return written < countMax && (next == documents.count || remaining == 0)
        case .scan(let filter, let descending, let after):
            guard let collection else { return true }
            var isEnd = true
            var last: Int?
            if countMax == 0 { return false }
            collection.scan(filter, descending: descending, after: after) { index in
                let entry = collection.entries[index]
                if skip > 0 {
                    skip -= 1
                    last = index
                    return true
                }
                guard remaining > 0 else { return false }
                guard hasRoom(Int(entry.count)) else {
                    isEnd = false
                    return false
                }
                buffer.appendArrayKey(type: 0x03, index: written)
                projection.write(entry.document, to: buffer)
                last = index
                written += 1
                remaining -= 1
                isEnd = written < countMax
                return isEnd
            }
            if let last {
                source = .scan(filter, descending: descending, after: collection.entries[last].id.owned)
            }
            return isEnd
        }
    }
}
