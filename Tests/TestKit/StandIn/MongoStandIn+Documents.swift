/// The documents, from inside the test process.
extension MongoStandIn {
    /// Adds raw documents as they are, byte for byte; sorted input is added fastest. Throws for a second of one `_id`.
    package func load(_ collection: String, _ documents: some Sequence<[UInt8]>, database: String? = nil) throws {
        try store.use(namespace(collection, database)) { stored in
            for document in documents { try stored.insert(document) }
        }
    }

    package func insert(_ document: [UInt8], into collection: String, database: String? = nil) throws {
        try load(collection, CollectionOfOne(document), database: database)
    }

    /// Puts a document in the place of the one with its `_id`, or adds it.
    package func replace(_ document: [UInt8], in collection: String, database: String? = nil) throws {
        try store.use(namespace(collection, database)) { stored in
            guard let id = RawDocument.lend(document, { $0["_id"]?.owned }) ?? nil else {
                throw TestServiceMissing("the document has no _id")
            }
            let place = id.lend { stored.lowerBound($0) }
            if place < id.lend({ stored.upperBound($0) }) {
                try stored.replace(at: place, with: document)
            } else {
                try stored.insert(document)
            }
        }
    }

    /// Removes what matches a filter document; how many.
    @discardableResult
    package func remove(_ filter: [UInt8], from collection: String, database: String? = nil) throws -> Int {
        let filter = try RawDocument.lend(filter) { try Filter($0) } ?? .everything
        return store.use(namespace(collection, database)) { stored in
            let gone = stored.matches(filter)
            stored.remove(at: gone)
            return gone.count
        }
    }

    /// Removes the document at a position in `_id` order.
    package func remove(at index: Int, from collection: String, database: String? = nil) {
        store.use(namespace(collection, database)) { stored in
            if stored.entries.indices.contains(index) { stored.remove(at: [index]) }
        }
    }

    package func removeAll(from collection: String, database: String? = nil) {
        _ = store.drop(namespace(collection, database))
    }

    package func count(_ collection: String, database: String? = nil) -> Int {
        store.use(namespace(collection, database)) { $0.entries.count }
    }

    /// Copies of the documents in `_id` order.
    package func documents(_ collection: String, database: String? = nil) -> [[UInt8]] {
        store.use(namespace(collection, database)) { $0.entries.map(\.document.copy) }
    }

    private func namespace(_ collection: String, _ database: String?) -> String {
        "\(database ?? Self.database).\(collection)"
    }
}
