import CLibPQ
import Foundation
import Runtime
import Synchronization

// The pointer is used by the owning actor's queue only, but for PQcancel, which libpq documents as safe from any
// thread.
/// Owns a libpq connection and its cancel handle.
final class PGHandle: @unchecked Sendable {
    let pointer: OpaquePointer
    private let cancelHandle: OpaquePointer?
    private let closed = Mutex(false)

    private init(pointer: OpaquePointer) {
        self.pointer = pointer
        cancelHandle = PQgetCancel(pointer)
    }

    deinit {
        PQfreeCancel(cancelHandle)
        PQfinish(pointer)
    }

    static func open(_ settings: PGSettings) throws -> PGHandle {
        let parameters: [(String, String)] = [
            ("dbname", settings.url.expose { $0 }), ("application_name", settings.applicationName),
            ("connect_timeout", String(max(2, settings.connectTimeout.components.seconds))), ("keepalives", "1"),
            ("keepalives_idle", "10"), ("keepalives_interval", "5"), ("keepalives_count", "3"),
            ("tcp_user_timeout", "20000"), ("client_encoding", "UTF8"),
        ]
        let keys = parameters.map { strdup($0.0) }
        let values = parameters.map { strdup($0.1) }
        defer { (keys + values).forEach { free($0) } }
        let keyList: [UnsafePointer<CChar>?] = keys.map { UnsafePointer($0) } + [nil]
        let valueList: [UnsafePointer<CChar>?] = values.map { UnsafePointer($0) } + [nil]
        guard let pointer = PQconnectdbParams(keyList, valueList, 1) else {
            throw TallyError(.targetUnreachable, during: "postgres.connect", "libpq could not allocate a connection")
        }
        let handle = PGHandle(pointer: pointer)
        guard PQstatus(pointer) == CONNECTION_OK else {
            let message = String(cString: PQerrorMessage(pointer))
            let refused = message.contains("authentication failed") || message.contains("no password supplied")
            throw TallyError(
                refused ? .credentialsRejected : .targetUnreachable,
                during: "postgres.connect",
                refused
                    ? "PostgreSQL refused the login to \(settings.databaseLabel)"
                    : "PostgreSQL at \(settings.databaseLabel) does not answer",
                detail: message
            )
        }
        return handle
    }

    func connectionError(during stage: StaticString) -> TallyError {
        TallyError(
            .targetUnreachable,
            during: stage,
            "the connection to PostgreSQL was lost",
            detail: String(cString: PQerrorMessage(pointer))
        )
    }

    func cancel() {
        guard let cancelHandle else { return }
        var buffer = [CChar](repeating: 0, count: 256)
        PQcancel(cancelHandle, &buffer, 256)
    }

    /// Its socket was taken from it; no call will reach the server again.
    var isClosed: Bool { closed.withLock { $0 } }

    func close() {
        let first = closed.withLock { closed in
            defer { closed = true }
            return !closed
        }
        if first { shutdown(PQsocket(pointer), Int32(SHUT_RDWR)) }
    }
}
