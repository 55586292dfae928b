import CLibMongoC
import Dispatch
import Runtime
import Synchronization

// The C pool locks itself: `pop` and `push` may come from any thread.
/// Owns one `mongoc_client_pool_t` with its monitoring threads.
final class ClientPoolHandle: @unchecked Sendable {
    private let pointer: OpaquePointer

    /// Resolves SRV and TXT records for `mongodb+srv` URLs, so it may block.
    init(_ settings: MongoSettings, clientsMax: Int) throws {
        let uri = try settings.makeURI()
        var error = bson_error_t()
        guard let pointer = mongoc_client_pool_new_with_error(uri.pointer, &error) else {
            throw MongoDriver.error(&error, reply: nil, during: "mongo.open")
        }
        self.pointer = pointer
        // Version 2 marks a server's error by a domain of its own.
        mongoc_client_pool_set_error_api(pointer, MONGOC_ERROR_API_VERSION_2)
        mongoc_client_pool_max_size(pointer, UInt32(clamping: clientsMax))
    }

    deinit {
        // Ends the monitoring threads and the server's sessions, which may take as long as a server selection.
        nonisolated(unsafe) let pointer = pointer
        DispatchQueue.global(qos: .utility).async { mongoc_client_pool_destroy(pointer) }
    }

    fileprivate func pop() -> OpaquePointer { mongoc_client_pool_pop(pointer) }
    fileprivate func push(_ client: OpaquePointer) { mongoc_client_pool_push(pointer, client) }
}

/// Opens the driver's pool when it is first needed, on the thread that needs it.
final class ClientPoolSource: Sendable {
    private enum State {
        case fresh
        case open(ClientPoolHandle)
        case closed
    }
    private let settings: MongoSettings
    private let clientsMax: Int
    private let state = Mutex(State.fresh)

    init(_ settings: MongoSettings, clientsMax: Int) {
        self.settings = settings
        self.clientsMax = clientsMax
    }

    fileprivate func open() throws -> ClientPoolHandle {
        try state.withLock { state in
            switch state {
            case .open(let handle): return handle
            case .closed: throw CancellationError()
            case .fresh:
                let handle = try ClientPoolHandle(settings, clientsMax: clientsMax)
                state = .open(handle)
                return handle
            }
        }
    }

    func close() {
        state.withLock { $0 = .closed }
    }
}

// `client` is touched by one session's queue only, and at the end, when no other reference is left.
/// One client of the driver's pool and the slot it stands in; given back when the last reference goes.
///
/// A call that nobody waits for any more keeps its lease until its thread is done with it.
final class ClientLease: @unchecked Sendable {
    private let source: ClientPoolSource
    private let slot: Slots.Slot
    private var pool: ClientPoolHandle?
    private var popped: OpaquePointer?

    init(_ source: ClientPoolSource, _ slot: Slots.Slot) {
        self.source = source
        self.slot = slot
    }

    /// To be called on the session's queue. Never blocks for a client: there are as many as slots.
    func client() throws -> OpaquePointer {
        if let popped { return popped }
        let pool = try source.open()
        let client = pool.pop()
        self.pool = pool
        popped = client
        return client
    }

    deinit {
        if let popped { pool?.push(popped) }
    }
}
