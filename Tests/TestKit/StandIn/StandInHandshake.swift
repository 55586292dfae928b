import Foundation

/// What drivers ask before they work, and the dispatch of everything else.
extension MongoStandIn {
    private static let beforeLogin: Set<String> = [
        "hello", "ismaster", "buildinfo", "ping", "saslstart", "saslcontinue", "endsessions", "logout",
    ]

    func execute(
        _ command: StandInCommand,
        _ login: inout StandInLogin,
        _ connection: Int,
        to buffer: MessageBuffer
    ) throws {
        let scram = scram
        if scram != nil, !login.isAuthenticated, !Self.beforeLogin.contains(command.name) {
            throw CommandFailure(13, "Unauthorized", "command \(command.spelledName) requires authentication")
        }
        switch command.name {
        case "find": try store.find(command, to: buffer)
        case "getmore": try store.getMore(command, to: buffer)
        case "aggregate": try store.aggregate(command, to: buffer)
        case "hello", "ismaster": buffer.append(hello(command, &login, connection))
        case "saslstart": buffer.append(try saslStart(command.body, &login))
        case "saslcontinue": buffer.append(try saslContinue(command.body, &login))
        default: buffer.append(try small(command))
        }
    }

    private func small(_ command: StandInCommand) throws -> [UInt8] {
        switch command.name {
        case "killcursors": return store.killCursors(command)
        case "count": return try store.count(command)
        case "insert": return try store.insert(command)
        case "delete": return try store.delete(command)
        case "update": return try store.update(command)
        case "drop":
            guard store.drop(try command.namespace()) else {
                throw CommandFailure(26, "NamespaceNotFound", "ns not found")
            }
            return Self.ok()
        case "dropdatabase":
            store.dropDatabase(command.database)
            return Self.ok()
        case "create", "createindexes", "ping", "endsessions", "killsessions", "refreshsessions", "logout",
            "committransaction", "aborttransaction":
            return Self.ok()
        case "buildinfo":
            return Self.ok {
                $0.append("version", string: "6.0.0")
                $0.append("gitVersion", string: "stand-in")
                $0.append(
                    "versionArray",
                    type: 0x04,
                    raw: BSONWriter.document { list in
                        for (index, part) in [6, 0, 0, 0].enumerated() { list.append("\(index)", int32: Int32(part)) }
                    }
                )
                $0.append("maxBsonObjectSize", int32: 16 << 20)
            }
        case "getparameter":
            return Self.ok {
                $0.append("featureCompatibilityVersion", document: { $0.append("version", string: "6.0") })
            }
        case "serverstatus":
            return Self.ok {
                $0.append("version", string: "6.0.0")
                $0.append("uptime", double: 1)
            }
        case "connectionstatus": return Self.ok { $0.append("authInfo", document: { _ in }) }
        case "listdatabases", "listcollections", "listindexes", "dbstats", "collstats":
            return try catalog(command)
        default: throw CommandFailure(59, "CommandNotFound", "no such command: '\(command.spelledName)'")
        }
    }

    static func ok(_ fill: (inout BSONWriter) -> Void = { _ in }) -> [UInt8] {
        BSONWriter.document {
            fill(&$0)
            $0.append("ok", double: 1)
        }
    }

    private func hello(_ command: StandInCommand, _ login: inout StandInLogin, _ connection: Int) -> [UInt8] {
        var speculation: [UInt8]?
        if let start = command.body["speculativeAuthenticate"]?.document {
            // A start that fails is simply not answered: the driver then begins in the usual way.
            speculation = try? saslStart(start, &login)
        }
        return Self.ok {
            $0.append("helloOk", bool: true)
            $0.append(command.name == "hello" ? "isWritablePrimary" : "ismaster", bool: true)
            if let set = replicaSet {
                let address = "127.0.0.1:\(port)"
                $0.append("setName", string: set)
                $0.append("setVersion", int32: 1)
                $0.append("secondary", bool: false)
                $0.append("hosts", strings: [address])
                $0.append("primary", string: address)
                $0.append("me", string: address)
            }
            $0.append("maxBsonObjectSize", int32: 16 << 20)
            $0.append("maxMessageSizeBytes", int32: 48_000_000)
            $0.append("maxWriteBatchSize", int32: 100_000)
            $0.append("localTime", date: Int64(Date().timeIntervalSince1970 * 1000))
            $0.append("logicalSessionTimeoutMinutes", int32: 30)
            $0.append("connectionId", int32: Int32(truncatingIfNeeded: connection))
            $0.append("minWireVersion", int32: 0)
            $0.append("maxWireVersion", int32: 17)
            $0.append("readOnly", bool: false)
            if command.body["saslSupportedMechs"] != nil {
                $0.append("saslSupportedMechs", strings: ["SCRAM-SHA-256"])
            }
            if let speculation { $0.append("speculativeAuthenticate", document: speculation) }
        }
    }

    private static let authenticationFailed = CommandFailure(18, "AuthenticationFailed", "Authentication failed.")

    private func saslStart(_ body: RawDocument, _ login: inout StandInLogin) throws -> [UInt8] {
        guard let scram, body["mechanism"]?.string == "SCRAM-SHA-256",
            let begun = scram.begin(body["payload"]?.payload ?? [])
        else { throw Self.authenticationFailed }
        var conversation = begun.conversation
        let answer = begun.answer
        conversation.skipsEmptyExchange = body["options"]?.document?["skipEmptyExchange"]?.isTrue ?? false
        login.conversation = conversation
        return Self.sasl(answer, isDone: false)
    }

    private func saslContinue(_ body: RawDocument, _ login: inout StandInLogin) throws -> [UInt8] {
        guard let scram, var conversation = login.conversation else { throw Self.authenticationFailed }
        login.conversation = nil
        if conversation.isProven {
            login.isAuthenticated = true
            return Self.sasl([], isDone: true)
        }
        guard let answer = scram.finish(conversation, body["payload"]?.payload ?? []) else {
            throw Self.authenticationFailed
        }
        if conversation.skipsEmptyExchange {
            login.isAuthenticated = true
        } else {
            conversation.isProven = true
            login.conversation = conversation
        }
        return Self.sasl(answer, isDone: conversation.skipsEmptyExchange)
    }

    private static func sasl(_ payload: [UInt8], isDone: Bool) -> [UInt8] {
        ok {
            $0.append("conversationId", int32: 1)
            $0.append("done", bool: isDone)
            $0.append("payload", binary: payload)
        }
    }

    private func catalog(_ command: StandInCommand) throws -> [UInt8] {
        let collections = store.sizes(of: command.database)
        switch command.name {
        case "listdatabases":
            let names = Set(store.sizes(of: nil).compactMap { $0.name.split(separator: ".").first }).sorted()
            return Self.ok {
                $0.append(
                    "databases",
                    array: names.map { name in
                        BSONWriter.document {
                            $0.append("name", string: String(name))
                            $0.append("empty", bool: false)
                        }
                    }
                )
            }
        case "listcollections":
            let wanted = try command.filter("filter")
            let documents = collections.map { collection in
                BSONWriter.document {
                    $0.append("name", string: collection.name)
                    $0.append("type", string: "collection")
                }
            }
            return Self.cursor(
                "\(command.database).$cmd.listCollections",
                documents.filter { RawDocument.lend($0) { wanted.matches($0) } ?? false }
            )
        case "listindexes":
            let index = BSONWriter.document {
                $0.append("v", int32: 2)
                $0.append("key", document: { $0.append("_id", int32: 1) })
                $0.append("name", string: "_id_")
            }
            return Self.cursor(try command.namespace(), [index])
        default:
            let name = command.name == "collstats" ? command.collection : nil
            return Self.sizes(collections.filter { name == nil || $0.name == name }, of: name, in: command.database)
        }
    }

    private static func cursor(_ namespace: String, _ documents: [[UInt8]]) -> [UInt8] {
        ok {
            $0.append(
                "cursor",
                document: {
                    $0.append("firstBatch", array: documents)
                    $0.append("id", int64: 0)
                    $0.append("ns", string: namespace)
                }
            )
        }
    }

    private static func sizes(
        _ collections: [(name: String, count: Int, bytes: Int)],
        of collection: String?,
        in database: String
    ) -> [UInt8] {
        let count = collections.reduce(0) { $0 + $1.count }
        let bytes = collections.reduce(0) { $0 + $1.bytes }
        return ok {
            if let collection {
                $0.append("ns", string: "\(database).\(collection)")
                $0.append("count", int64: Int64(count))
                $0.append("size", int64: Int64(bytes))
                $0.append("nindexes", int32: 1)
                $0.append("totalIndexSize", int64: Int64(count * 20))
            } else {
                $0.append("db", string: database)
                $0.append("collections", int64: Int64(collections.count))
                $0.append("objects", int64: Int64(count))
                $0.append("dataSize", int64: Int64(bytes))
                $0.append("indexes", int64: Int64(collections.count))
                $0.append("indexSize", int64: Int64(count * 20))
            }
            $0.append("avgObjSize", double: count == 0 ? 0 : Double(bytes) / Double(count))
            $0.append("storageSize", int64: Int64(bytes))
            $0.append("totalSize", int64: Int64(bytes + count * 20))
        }
    }
}
