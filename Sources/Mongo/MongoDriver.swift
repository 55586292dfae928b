import CLibMongoC
import Runtime

/// The driver's process-wide state, and what crosses between its C values and ours.
enum MongoDriver {
    /// Makes the driver ready; later calls cost nothing.
    ///
    /// The driver's own log goes to stderr as free text, with parts of URLs in it: it is turned off. What matters
    /// arrives as an error. `mongoc_cleanup` is not called: the process's end frees everything, in any order.
    static func start() {
        _ = started
    }

    private static let started: Void = {
        mongoc_init()
        mongoc_log_set_handler(nil, nil)
    }()

    static func error(_ error: inout bson_error_t, reply: OpaquePointer?, during stage: StaticString) -> TallyError {
        let text = String(cString: tally_error_message(&error))
        let document = reply.map { copy($0) }
        let labels = (try? document?.strings("errorLabels")) ?? []
        let name = (try? document?.string("codeName")) ?? nil
        return MongoServerError(
            domain: domain(error, text),
            code: Int32(bitPattern: error.code),
            codeName: name,
            labels: labels,
            message: text
        ).tallyError(during: stage)
    }

    static func copy(_ document: OpaquePointer) -> BSONDocument {
        BSONDocument(bytes: Array(bytes(document)))
    }

    /// The document's own bytes, valid as long as the driver keeps it.
    @inline(__always)
    static func bytes(_ document: OpaquePointer) -> UnsafeBufferPointer<UInt8> {
        UnsafeBufferPointer(start: bson_get_data(document), count: Int(tally_bson_length(document)))
    }

    private static func domain(_ error: bson_error_t, _ text: String) -> MongoServerError.Domain {
        switch mongoc_error_domain_t(rawValue: error.domain) {
        case MONGOC_ERROR_SERVER, MONGOC_ERROR_QUERY, MONGOC_ERROR_WRITE_CONCERN: return .server
        case MONGOC_ERROR_STREAM: return .network
        case MONGOC_ERROR_SERVER_SELECTION:
            return error.code == MONGOC_ERROR_SERVER_SELECTION_BAD_WIRE_VERSION.rawValue ? .wire : .serverSelection
        case MONGOC_ERROR_SASL, MONGOC_ERROR_SCRAM: return .authentication
        case MONGOC_ERROR_PROTOCOL:
            // A reply cut short or out of step ends that connection; the next one is as good as any.
            return error.code == MONGOC_ERROR_PROTOCOL_BAD_WIRE_VERSION.rawValue ? .wire : .network
        case MONGOC_ERROR_CLIENT:
            switch mongoc_error_code_t(rawValue: error.code) {
            case MONGOC_ERROR_CLIENT_AUTHENTICATE, MONGOC_ERROR_CLIENT_GETNONCE:
                // The driver gives this code also to a connection that broke during the handshake.
                return brokeWhileAuthenticating(text) ? .network : .authentication
            case MONGOC_ERROR_CLIENT_NOT_READY, MONGOC_ERROR_CLIENT_NO_ACCEPTABLE_PEER: return .network
            default: return .client
            }
        default: return .client
        }
    }

    private static func brokeWhileAuthenticating(_ text: String) -> Bool {
        let text = text.lowercased()
        return ["socket error", "timeout", "timed out", "failed to read", "connection closed", "connection reset"]
            .contains { text.contains($0) }
    }
}

/// Owns one `bson_t` on the heap.
struct BSONHandle: ~Copyable {
    let pointer: OpaquePointer

    /// Copies the document. Throws `.recordMalformed` when its length prefix does not fit its bytes.
    init(_ document: BSONDocument) throws {
        guard let pointer = bson_new_from_data(document.bytes, document.bytes.count) else {
            throw BSONWalk.malformed("document length")
        }
        self.pointer = pointer
    }

    deinit { bson_destroy(pointer) }
}

/// Owns one `mongoc_uri_t`.
struct URIHandle: ~Copyable {
    let pointer: OpaquePointer

    init(owning pointer: OpaquePointer) {
        self.pointer = pointer
    }

    deinit { mongoc_uri_destroy(pointer) }
}

/// Owns one `mongoc_collection_t`; must not outlive its client.
struct CollectionHandle: ~Copyable {
    let pointer: OpaquePointer

    init(_ client: OpaquePointer, database: String, name: String) {
        pointer = mongoc_client_get_collection(client, database, name)
    }

    deinit { mongoc_collection_destroy(pointer) }
}

/// Owns one `mongoc_cursor_t`; must not outlive its client. Its end kills the cursor on the server when that is still
/// open.
struct CursorHandle: ~Copyable {
    let pointer: OpaquePointer

    deinit { mongoc_cursor_destroy(pointer) }
}

/// Owns the reply of one command as the driver left it.
struct ReplyHandle: ~Copyable {
    let pointer: OpaquePointer

    deinit { tally_reply_end(pointer) }
}
