import CLibPQ
import Dispatch
import Foundation
import Runtime
import Synchronization

/// How a transaction sees others.
package enum PGIsolation: String, Sendable {
    case readCommitted = "READ COMMITTED"
    case repeatableRead = "REPEATABLE READ"
}

/// One session with a server: a libpq connection owned by this actor's own queue.
///
/// Calls block that queue's thread, never one of the cooperative pool. Cancelling the calling task sends the server a
/// cancel request. After a lost connection `isBroken` is true and every call throws `.targetUnreachable`.
package actor PGConnection {
    private let executor: QueueExecutor
    nonisolated let handle: PGHandle
    package nonisolated let backendPID: Int32
    package nonisolated let serverVersion: Int
    private let broken = Mutex(false)
    var stream = PGStream.idle

    package nonisolated var unownedExecutor: UnownedSerialExecutor { executor.asUnownedSerialExecutor() }
    package nonisolated var isBroken: Bool { broken.withLock { $0 } }

    private init(executor: QueueExecutor, handle: PGHandle) {
        self.executor = executor
        self.handle = handle
        backendPID = PQbackendPID(handle.pointer)
        serverVersion = Int(PQserverVersion(handle.pointer))
    }

    /// Opens a session within the settings' connect timeout.
    ///
    /// Throws `.targetUnreachable`, or `.credentialsRejected` when the server refuses the login.
    package static func connect(_ settings: PGSettings) async throws -> PGConnection {
        let executor = QueueExecutor(label: "tallyman.postgres")
        let handle = try await PGConnecting().open(settings, on: executor.queue)
        let connection = PGConnection(executor: executor, handle: handle)
        try await connection.prepareSession(settings)
        return connection
    }

    /// Within the connect timeout once more: a server that fell silent behind the login loses the socket.
    private func prepareSession(_ settings: PGSettings) async throws {
        var statements = ["SET client_min_messages = warning", "SET idle_in_transaction_session_timeout = '60s'"]
        if serverVersion >= 140_000 { statements.append("SET client_connection_check_interval = '5s'") }
        if let limit = settings.statementTimeout { statements.append("SET statement_timeout = \(limit.milliseconds)") }
        if let limit = settings.lockTimeout { statements.append("SET lock_timeout = \(limit.milliseconds)") }
        if settings.readOnly { statements.append("SET default_transaction_read_only = on") }
        for (name, value) in settings.extra.sorted(by: { $0.key < $1.key }) {
            statements.append("SET \(PGIdentifier.quote(name)) = \(PGIdentifier.quoteLiteral(value))")
        }
        let sql = statements.joined(separator: "; ")
        try await cancellable(within: settings.connectTimeout) {
            _ = try finish(PQexec(handle.pointer, sql), during: "postgres.session")
        }
    }

    /// Runs one statement with bound values; results come in binary.
    package func query(_ sql: String, _ parameters: [PGValue] = []) async throws -> PGResult {
        try await cancellable {
            let bound = parameters.map(\.bound)
            let result = bound.withPointers { types, values, lengths, formats in
                PQexecParams(handle.pointer, sql, Int32(bound.count), types, values, lengths, formats, 1)
            }
            return try finish(result, during: "postgres.query")
        }
    }

    /// Runs several statements by the simple protocol; their rows are dropped.
    package func execute(_ sql: String) async throws {
        try await cancellable { _ = try finish(PQexec(handle.pointer, sql), during: "postgres.execute") }
    }

    package func begin(readOnly: Bool = false, isolation: PGIsolation = .readCommitted) async throws {
        try await execute("BEGIN ISOLATION LEVEL \(isolation.rawValue)\(readOnly ? " READ ONLY" : "")")
    }

    package func commit() async throws {
        let result = try await query("COMMIT")
        // A failed transaction answers COMMIT with ROLLBACK and no error.
        guard result.commandTag == "COMMIT" else {
            throw TallyError(
                .transactionConflict,
                during: "postgres.commit",
                "the transaction had failed and was rolled back"
            )
        }
    }

    package func rollback() async throws {
        _ = try finish(PQexec(handle.pointer, "ROLLBACK"), during: "postgres.rollback")
    }

    /// Begins a transaction, runs `body`, commits; rolls back when `body` throws.
    package nonisolated func withTransaction<Result: Sendable>(
        isolation: PGIsolation = .readCommitted,
        readOnly: Bool = false,
        _ body: (PGConnection) async throws -> Result
    ) async throws -> Result {
        try await begin(readOnly: readOnly, isolation: isolation)
        do {
            let result = try await body(self)
            try await commit()
            return result
        } catch {
            await abandon()
            throw error
        }
    }

    /// Brings the session back to idle, whatever it was doing; marks it broken when that fails.
    ///
    /// Waits for a silent server ten seconds, in a cancelled task one; then the session loses its socket.
    package func abandon() async {
        if handle.isClosed { return markBroken() }
        if PQtransactionStatus(handle.pointer) == PQTRANS_IDLE { return }
        let call = PGCall(handle)
        call.limit(seconds: Task.isCancelled ? 1 : 10)
        defer { call.end() }
        switch PQtransactionStatus(handle.pointer) {
        case PQTRANS_ACTIVE: drain()
        default: break
        }
        if PQtransactionStatus(handle.pointer) != PQTRANS_IDLE, (try? await rollback()) == nil { markBroken() }
    }

    /// Stops the running statement and reads what it still sends, until the session is idle or broken.
    func drain() {
        if handle.isClosed { return markBroken() }
        let call = PGCall(handle)
        defer { call.end() }
        call.cancel()
        guard call.isCancelTaken() else { return close() }
        while let result = PQgetResult(handle.pointer) {
            let status = PQresultStatus(result)
            PQclear(result)
            if status == PGRES_COPY_IN { PQputCopyEnd(handle.pointer, "abandoned") }
            if status == PGRES_COPY_OUT {
                var buffer: UnsafeMutablePointer<CChar>?
                while PQgetCopyData(handle.pointer, &buffer, 0) > 0 {
                    PQfreemem(buffer)
                    buffer = nil
                }
            }
            if PQstatus(handle.pointer) != CONNECTION_OK { break }
        }
        if PQstatus(handle.pointer) != CONNECTION_OK { markBroken() }
    }

    /// Whether the server has not hung up on this idle session; costs no round trip.
    func isAlive() -> Bool {
        guard PQstatus(handle.pointer) == CONNECTION_OK else { return false }
        var descriptor = pollfd(fd: PQsocket(handle.pointer), events: Int16(POLLIN), revents: 0)
        // An idle session has nothing to read but a notice or the end of the connection.
        if poll(&descriptor, 1, 0) > 0 { return PQconsumeInput(handle.pointer) == 1 }
        return true
    }

    func markBroken() { broken.withLock { $0 = true } }

    /// Runs blocking driver calls; cancelling the task asks the server to stop what it does. What lasts longer than
    /// `limit` loses its socket.
    func cancellable<Result>(within limit: Duration? = nil, _ body: () throws -> Result) async throws -> Result {
        try Task.checkCancellation()
        let call = PGCall(handle)
        if let limit { call.limit(seconds: Double(limit.milliseconds) / 1_000) }
        do {
            return try await withTaskCancellationHandler {
                defer { call.end() }
                return try here(body)
            } onCancel: {
                call.cancel()
            }
        } catch {
            // However the server or the socket put it, a call that was given up was cancelled.
            try Task.checkCancellation()
            guard let ours = error as? TallyError, ours.serverError?.sqlState == "57014" else { throw error }
            throw TallyError(
                .deadlineExceeded,
                during: "postgres.query",
                "the server ended the statement: statement_timeout or an administrator",
                cause: ours
            )
        }
    }

    /// Being a method of the actor, it keeps the cancellable closure on the actor's queue: a closure that does not
    /// touch the actor would run on the cooperative pool.
    private func here<Result>(_ body: () throws -> Result) throws -> Result {
        try body()
    }

    /// Turns a libpq result into ours or into an error, and frees it.
    func finish(_ result: OpaquePointer?, during stage: StaticString) throws -> PGResult {
        guard let result else {
            markBroken()
            throw handle.connectionError(during: stage)
        }
        defer { PQclear(result) }
        switch PQresultStatus(result) {
        case PGRES_TUPLES_OK, PGRES_COMMAND_OK, PGRES_EMPTY_QUERY: return PGResult(reading: result)
        case PGRES_COPY_IN, PGRES_COPY_OUT, PGRES_COPY_BOTH:
            return PGResult(rows: [], commandTag: "COPY", affectedRows: 0, columns: [])
        default:
            if PQstatus(handle.pointer) != CONNECTION_OK { markBroken() }
            throw PGServerError.error(from: result, connectionLost: isBroken, during: stage)
        }
    }

    package func close() {
        markBroken()
        handle.close()
    }

    // MARK: COPY

    private var copyHeaderPending = false
    private var copyOutActive = false
    private var copyOutFailure: (any Error)?
    private var copyOutFormat = PGCopyFormat.binary
    private var copyInFormat = PGCopyFormat.binary

    /// Starts `COPY … TO STDOUT`, which must ask for the same format.
    package func copyOutStart(_ sql: String, format: PGCopyFormat = .binary) async throws {
        try await cancellable { _ = try finish(PQexec(handle.pointer, sql), during: "postgres.copyOut") }
        copyOutFormat = format
        copyOutFailure = nil
        copyHeaderPending = format == .binary
        copyOutActive = true
    }

    /// The next rows as the server sent them; nil at the end, when the session is idle again.
    ///
    /// An error of the server is thrown behind every row that it sent before.
    package func copyOutNext(maxBytes: Int = 1 << 18, maxRows: Int = 8_192) async throws -> PGCopyChunk? {
        if let failure = copyOutFailure {
            copyOutFailure = nil
            throw failure
        }
        guard copyOutActive else { return nil }
        return try await cancellable {
            var bytes: [UInt8] = []
            bytes.reserveCapacity(maxBytes + 1_024)
            var starts: [Int32] = []
            while bytes.count < maxBytes, starts.count < maxRows {
                var buffer: UnsafeMutablePointer<CChar>?
                let length = Int(PQgetCopyData(handle.pointer, &buffer, 0))
                if length == -1 {
                    do {
                        try endCopyOut()
                    } catch {
                        // What came before the error is whole: it is handed out first.
                        guard !starts.isEmpty else { throw error }
                        copyOutFailure = error
                    }
                    return starts.isEmpty ? nil : PGCopyChunk(bytes: bytes, rowStarts: starts)
                }
                guard length >= 0, let buffer else {
                    // -2: the server ended the COPY with an error, which waits in the result.
                    try endCopyOut()
                    markBroken()
                    throw handle.connectionError(during: "postgres.copyOut")
                }
                defer { PQfreemem(buffer) }
                let raw = UnsafeRawBufferPointer(start: buffer, count: length)
                var from = 0
                if copyHeaderPending {
                    // Signature (11 bytes), flags, length of the header extension and the extension itself.
                    guard length >= 19 else { throw handle.connectionError(during: "postgres.copyOut") }
                    from = 19 + Int(Int32(bigEndian: raw.loadUnaligned(fromByteOffset: 15, as: Int32.self)))
                    copyHeaderPending = false
                }
                // Binary ends with a trailer of two bytes; in text one newline is a row.
                guard length - from > (copyOutFormat == .binary ? 2 : 0) else { continue }
                starts.append(Int32(bytes.count))
                bytes.append(contentsOf: UnsafeRawBufferPointer(rebasing: raw[from...]))
            }
            return PGCopyChunk(bytes: bytes, rowStarts: starts)
        }
    }

    private func endCopyOut() throws {
        copyOutActive = false
        var failure: (any Error)?
        while let result = PQgetResult(handle.pointer) {
            do { _ = try finish(result, during: "postgres.copyOut") } catch { failure = error }
        }
        if let failure { throw failure }
    }

    /// Starts `COPY … FROM STDIN`, which must ask for the same format; the binary header and trailer are written here.
    package func copyInStart(_ sql: String, format: PGCopyFormat = .binary) async throws {
        copyInFormat = format
        try await cancellable {
            _ = try finish(PQexec(handle.pointer, sql), during: "postgres.copyIn")
            guard format == .binary else { return }
            try put(Array("PGCOPY\n".utf8) + [0xFF, 0x0D, 0x0A, 0x00] + [UInt8](repeating: 0, count: 8))
        }
    }

    /// A server takes in a whole message before it looks at it, and libpq copies one before it sends it: so the rows go
    /// in many small ones, and both sides work at the same time.
    private static let copyMessageBytes = 1 << 16

    /// Sends whole or partial rows; blocks while the server is behind.
    package func copyInSend(_ bytes: [UInt8]) async throws {
        try await cancellable {
            for start in stride(from: 0, to: bytes.count, by: Self.copyMessageBytes) {
                try put(bytes[start..<min(start + Self.copyMessageBytes, bytes.count)])
            }
        }
    }

    private func put(_ bytes: ArraySlice<UInt8>) throws {
        let sent = bytes.withUnsafeBytes { raw -> Int32 in
            PQputCopyData(handle.pointer, raw.bindMemory(to: CChar.self).baseAddress, Int32(raw.count))
        }
        guard sent == 1 else {
            if PQstatus(handle.pointer) != CONNECTION_OK { markBroken() }
            throw handle.connectionError(during: "postgres.copyIn")
        }
    }

    /// Ends the COPY; the number of rows that the server's command tag confirms.
    package func copyInFinish() async throws -> Int {
        try await cancellable {
            if copyInFormat == .binary { try put([0xFF, 0xFF]) }
            guard PQputCopyEnd(handle.pointer, nil) == 1 else {
                markBroken()
                throw handle.connectionError(during: "postgres.copyIn")
            }
            var rows = 0
            var failure: (any Error)?
            while let result = PQgetResult(handle.pointer) {
                do { rows = try finish(result, during: "postgres.copyIn").affectedRows } catch { failure = error }
            }
            if let failure { throw failure }
            return rows
        }
    }

    package func copyInAbort(_ reason: String) async {
        PQputCopyEnd(handle.pointer, reason)
        while let result = PQgetResult(handle.pointer) { PQclear(result) }
    }
}

/// How COPY writes rows.
package enum PGCopyFormat: String, Sendable { case binary, text }

/// A run of rows in COPY's form, one behind the other.
package struct PGCopyChunk: Sendable {
    package var bytes: [UInt8]
    /// Where each row begins in `bytes`.
    package var rowStarts: [Int32]

    package init(bytes: [UInt8], rowStarts: [Int32]) {
        self.bytes = bytes
        self.rowStarts = rowStarts
    }
}

extension Duration {
    var milliseconds: Int64 { components.seconds * 1_000 + components.attoseconds / 1_000_000_000_000_000 }
}
