/// The commands that write: as much as drivers need to load and change data.
extension StandInStore {
    func insert(_ command: StandInCommand) throws -> [UInt8] {
        let isOrdered = command.body["ordered"]?.isTrue ?? true
        let documents = command.documents("documents")
        return try write(command.namespace(), documents, isOrdered: isOrdered) { document, collection in
            try collection.insert(Self.withIDFirst(document))
            return 1
        }
    }

    func delete(_ command: StandInCommand) throws -> [UInt8] {
        try write(command.namespace(), command.documents("deletes")) { delete, collection in
            let found = collection.matches(try Self.query(delete))
            let gone = delete["limit"]?.integer == 1 ? Array(found.prefix(1)) : found
            collection.remove(at: gone)
            return gone.count
        }
    }

    /// Replacement, `$set` and `$unset` of top-level fields, and `upsert`.
    func update(_ command: StandInCommand) throws -> [UInt8] {
        var modified = 0
        var upserted: [(Int, OwnedValue)] = []
        var position = -1
        let reply = try write(command.namespace(), command.documents("updates")) { update, collection in
            position += 1
            guard let change = update["u"]?.document, update["u"]?.type == 0x03 else {
                throw CommandFailure(9, "FailedToParse", "an update must be a document")
            }
            let found = collection.matches(try Self.query(update))
            if found.isEmpty, update["upsert"]?.isTrue == true {
                let base = BSONWriter.document { writer in
                    for element in update["q"]?.document.map(Array.init) ?? [] where !Self.isOperator(element.value) {
                        writer.append(element.name, type: element.value.type, raw: element.value.bytes)
                    }
                }
                let made = try RawDocument.lend(base) { try Self.changed($0, by: change) } ?? base
                let document = RawDocument.lend(made) { Self.withIDFirst($0) } ?? made
                try collection.insert(document)
                RawDocument.lend(document) { upserted.append((position, $0["_id"]?.owned ?? Self.null)) }
                return 1
            }
            let chosen = update["multi"]?.isTrue == true ? found : Array(found.prefix(1))
            for index in chosen {
                let old = collection.entries[index].document
                let new = try Self.changed(old, by: change)
                if new != old.copy {
                    try collection.replace(at: index, with: new)
                    modified += 1
                }
            }
            return chosen.count
        }
        return RawDocument.lend(reply) { reply in
            BSONWriter.document { writer in
                for element in reply {
                    writer.append(element.name, type: element.value.type, raw: element.value.bytes)
                }
                writer.append("nModified", int32: Int32(truncatingIfNeeded: modified))
                if upserted.isEmpty { return }
                writer.append(
                    "upserted",
                    array: upserted.map { position, id in
                        BSONWriter.document {
                            $0.append("index", int32: Int32(truncatingIfNeeded: position))
                            $0.append("_id", type: id.type, raw: id.bytes)
                        }
                    }
                )
            }
        } ?? reply
    }

    static let null = OwnedValue(type: 0x0A, bytes: [])

    /// Carries out each write, collects the errors, and stops at the first where the order matters.
    private func write(
        _ namespace: String,
        _ items: [RawDocument],
        isOrdered: Bool = true,
        _ body: (RawDocument, StoredCollection) throws -> Int
    ) throws -> [UInt8] {
        var written = 0
        var errors: [[UInt8]] = []
        use(namespace) { collection in
            for (index, item) in items.enumerated() {
                do {
                    written += try body(item, collection)
                } catch {
                    let failure = error as? CommandFailure ?? CommandFailure(8, "UnknownError", "\(error)")
                    errors.append(
                        BSONWriter.document {
                            $0.append("index", int32: Int32(truncatingIfNeeded: index))
                            $0.append("code", int32: failure.code)
                            $0.append("errmsg", string: failure.message)
                        }
                    )
                    if isOrdered { break }
                }
            }
        }
        return BSONWriter.document {
            $0.append("n", int32: Int32(truncatingIfNeeded: written))
            if !errors.isEmpty { $0.append("writeErrors", array: errors) }
            $0.append("ok", double: 1)
        }
    }

    private static func query(_ item: RawDocument) throws -> Filter {
        try item["q"]?.document.map { try Filter($0) } ?? .everything
    }

    private static func isOperator(_ value: RawValue) -> Bool {
        value.type == 0x03 && value.document?.makeIterator().nextOnce()?.nameBytes.first == UInt8(ascii: "$")
    }

    /// The server keeps `_id` in front and gives one to a document without it.
    static func withIDFirst(_ document: RawDocument) -> [UInt8] {
        if let first = document.makeIterator().nextOnce(), first.name == "_id" { return document.copy }
        return BSONWriter.document { writer in
            if let id = document["_id"] {
                writer.append("_id", type: id.type, raw: id.bytes)
            } else {
                writer.append("_id", objectID: (0..<12).map { _ in UInt8.random(in: .min ... .max) })
            }
            for element in document where element.name != "_id" {
                writer.append(element.name, type: element.value.type, raw: element.value.bytes)
            }
        }
    }

    private static func changed(_ document: RawDocument, by change: RawDocument) throws -> [UInt8] {
        guard let first = change.makeIterator().nextOnce(), first.nameBytes.first == UInt8(ascii: "$") else {
            return BSONWriter.document { writer in
                if let id = document["_id"] { writer.append("_id", type: id.type, raw: id.bytes) }
                for element in change where element.name != "_id" || document["_id"] == nil {
                    writer.append(element.name, type: element.value.type, raw: element.value.bytes)
                }
            }
        }
        var fields = document.map { (name: $0.name, value: $0.value) }
        for operation in change {
            for field in operation.value.document.map(Array.init) ?? [] {
                let place = fields.firstIndex { $0.name == field.name }
                switch operation.name {
                case "$set", "$setOnInsert":
                    if let place { fields[place].value = field.value } else { fields.append((field.name, field.value)) }
                case "$unset": if let place { fields.remove(at: place) }
                default: throw CommandFailure(9, "FailedToParse", "Unknown modifier: \(operation.name)")
                }
            }
        }
        return BSONWriter.document { writer in
            for field in fields { writer.append(field.name, type: field.value.type, raw: field.value.bytes) }
        }
    }
}
