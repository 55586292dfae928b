import Foundation
import Synchronization

/// A relay on 127.0.0.1 that can cut, stall or refuse what passes, as networks do.
///
/// Connections that are open when `cut` is called end with RST; while `isRefusing`, new ones end at once; while
/// `isStalled`, nothing passes in either direction and nobody is told; while `isHolding`, new ones wait.
package final class TCPProxy: Sendable {
    private struct State {
        var pairs: [Int: (client: Int32, server: Int32)] = [:]
        var next = 0
        var target: Int
        var isRefusing = false
        var isClosed = false
    }

    package let port: Int
    /// Bytes that passed in either direction so far, and connections accepted.
    package let passed = Watched((bytes: 0, connections: 0))
    private let listener: Int32
    private let state: Mutex<State>
    private let isStalled = Watched(false)
    private let isHolding = Watched(false)

    /// Relays to a port of 127.0.0.1.
    package init(to target: Int) throws {
        (listener, port) = try Sockets.listen(port: 0)
        state = Mutex(State(target: target))
        let listener = listener
        Thread.detachNewThread { [weak self] in
            while let client = Sockets.accept(listener) {
                guard let self else {
                    Glibc.close(client)
                    break
                }
                _ = self.isHolding.waitBlocking(within: .seconds(600)) { !$0 }
                self.relay(client)
            }
        }
    }

    deinit { close() }

    package func close() {
        let isFirst = state.withLock { state in
            defer { state.isClosed = true }
            return !state.isClosed
        }
        guard isFirst else { return }
        shutdown(listener, Int32(SHUT_RDWR))
        Glibc.close(listener)
        cut()
        stall(false)
        hold(false)
    }

    /// Ends every open connection with RST on both sides.
    package func cut() {
        state.withLock { state in
            for pair in state.pairs.values {
                Sockets.resetOnClose(pair.client)
                Sockets.resetOnClose(pair.server)
                shutdown(pair.client, Int32(SHUT_RDWR))
                shutdown(pair.server, Int32(SHUT_RDWR))
            }
        }
    }

    /// New connections end at once while true.
    package func refuse(_ refusing: Bool) { state.withLock { $0.isRefusing = refusing } }

    /// Nothing passes while true; connections stay open.
    package func stall(_ stalled: Bool) { isStalled.change { $0 = stalled } }

    /// New connections wait while true; the others go on.
    package func hold(_ holding: Bool) { isHolding.change { $0 = holding } }

    private func relay(_ client: Int32) {
        let target: Int? = state.withLock { $0.isRefusing || $0.isClosed ? nil : $0.target }
        guard let target, let server = Sockets.connect(port: target) else {
            Sockets.resetOnClose(client)
            Glibc.close(client)
            return
        }
        let number = state.withLock { state in
            state.next += 1
            state.pairs[state.next] = (client, server)
            return state.next
        }
        passed.change { $0.connections += 1 }
        let ends = Watched(0)
        for (from, to) in [(client, server), (server, client)] {
            Thread.detachNewThread { [self] in
                pump(from, to)
                shutdown(to, Int32(SHUT_WR))
                let isLast = ends.change { count in
                    count += 1
                    return count == 2
                }
                guard isLast else { return }
                state.withLock { $0.pairs[number] = nil }
                Glibc.close(client)
                Glibc.close(server)
            }
        }
    }

    private func pump(_ from: Int32, _ to: Int32) {
        var buffer = [UInt8](repeating: 0, count: 1 << 16)
        while true {
            let count = read(from, &buffer, buffer.count)
            if count < 0, errno == EINTR { continue }
            guard count > 0 else { return }
            _ = isStalled.waitBlocking(within: .seconds(600)) { !$0 }
            guard buffer.withUnsafeBytes({ Sockets.writeAll(to, UnsafeRawBufferPointer(rebasing: $0[..<count])) })
            else { return }
            passed.change { $0.bytes += count }
        }
    }
}
