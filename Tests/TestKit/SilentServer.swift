import Foundation

/// Speaks PostgreSQL's protocol as far as the login, and then says nothing more.
package final class SilentServer: Sendable {
    package let port: Int
    private let listener: Int32
    private let clients = Watched<[Int32]>([])

    package init() throws {
        (listener, port) = try Sockets.listen(port: 0)
        let (listener, clients) = (listener, clients)
        Thread.detachNewThread {
            while let client = Sockets.accept(listener) {
                clients.change { $0.append(client) }
                var startup = [UInt8](repeating: 0, count: 4_096)
                guard read(client, &startup, startup.count) > 0 else { continue }
                // AuthenticationOk, BackendKeyData, ReadyForQuery.
                let login: [UInt8] =
                    [0x52, 0, 0, 0, 8, 0, 0, 0, 0] + [0x4B, 0, 0, 0, 12, 0, 0, 0, 1, 0, 0, 0, 1] + [
                        0x5A, 0, 0, 0, 5, 0x49,
                    ]
                _ = Sockets.writeAll(client, login)
            }
        }
    }

    package func close() {
        shutdown(listener, Int32(SHUT_RDWR))
        Glibc.close(listener)
        for client in clients.change({ clients in
            defer { clients = [] }
            return clients
        }) { Glibc.close(client) }
    }
}
