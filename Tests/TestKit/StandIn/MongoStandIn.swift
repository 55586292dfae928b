import Foundation
import Runtime
import Synchronization

/// A MongoDB server for tests: the wire protocol over documents kept as raw BSON in `_id` order.
///
/// Every type survives byte for byte, a keyset page costs a page, and it breaks in scripted ways. It speaks OP_MSG and
/// the first OP_QUERY, answers as a 6.0 server would, and knows no transactions, indexes, collations or change streams.
package final class MongoStandIn: Sendable {
    package struct Statistics: Sendable {
        package internal(set) var connectionsOpened = 0
        package internal(set) var connectionsOpen = 0
        /// By name in lower case: `find`, `getmore`, …
        package internal(set) var commands: [String: Int] = [:]
        package internal(set) var bytesSent = 0
        /// Scripted faults that have happened.
        package internal(set) var faults = 0
    }

    private struct State {
        var listener: Int32?
        var connections: [Int: Int32] = [:]
        var faults: [StandInFault] = []
        var scram: ScramServer?
        var nextNumber = 1
    }

    /// The database of `url`, used where a method takes only the name of a collection.
    package static let database = "product"
    package let port: Int
    package let replicaSet: String?
    /// What has happened so far; a test can wait on it.
    package let statistics = Watched(Statistics())
    let store = StandInStore()
    private let state = Mutex(State())
    /// Listening sockets whose thread still runs.
    private let listeners = Watched<Set<Int32>>([])

    /// Listens on 127.0.0.1.
    ///
    /// - Parameters:
    ///   - port: 0 lets the kernel choose.
    ///   - replicaSet: answers as the primary of a set with this name and one member; nil is a standalone server.
    package init(port: Int = 0, replicaSet: String? = nil) throws {
        let (descriptor, port) = try Sockets.listen(port: port)
        self.port = port
        self.replicaSet = replicaSet
        accept(on: descriptor)
    }

    deinit { stop() }

    /// Without credentials.
    package var url: String { "mongodb://127.0.0.1:\(port)/\(Self.database)" }

    /// From now on commands need a login by SCRAM-SHA-256; nil needs none again. Costs 4096 rounds of HMAC.
    package func requireLogin(user: String, password: String) {
        let scram = ScramServer(user: user, password: password)
        state.withLock { $0.scram = scram }
    }

    package func requireNoLogin() {
        state.withLock { $0.scram = nil }
    }

    var scram: ScramServer? { state.withLock { $0.scram } }

    // MARK: Faults

    /// Adds a fault; of several that concern one command, the first added that has any left happens.
    package func script(_ fault: StandInFault) {
        state.withLock { $0.faults.append(fault) }
    }

    package func clearFaults() {
        state.withLock { $0.faults = [] }
    }

    func nextFault(_ command: StandInCommand) -> StandInFault.Action? {
        let name = command.name
        let collection = command.collection
        let action: StandInFault.Action? = state.withLock { state in
            for index in state.faults.indices where state.faults[index].concerns(name, collection) {
                if state.faults[index].skip > 0 {
                    state.faults[index].skip -= 1
                } else if state.faults[index].times > 0 {
                    state.faults[index].times -= 1
                    return state.faults[index].action
                }
            }
            return nil
        }
        statistics.change { statistics in
            statistics.commands[name, default: 0] += 1
            if action != nil { statistics.faults += 1 }
        }
        return action
    }

    func countReply(bytes: Int) {
        statistics.change { $0.bytesSent += bytes }
    }

    // MARK: Up and down

    /// Ends all connections and listens no more; documents stay, cursors do not.
    package func stop() {
        let listener = state.withLock { state in
            // Under the lock, since a connection's thread takes it before it closes the descriptor.
            for descriptor in state.connections.values { shutdown(descriptor, Int32(SHUT_RDWR)) }
            defer { state.listener = nil }
            return state.listener
        }
        // The thread that accepts closes it; the port is free for `restart` when this returns.
        if let listener {
            shutdown(listener, Int32(SHUT_RDWR))
            _ = listeners.waitBlocking { !$0.contains(listener) }
        }
        store.forgetCursors()
    }

    /// Listens again on the same port, after `stop`.
    package func restart() throws {
        guard state.withLock({ $0.listener == nil }) else { return }
        accept(on: try Sockets.listen(port: port).descriptor)
    }

    /// Ends the connections there are; new ones are welcome.
    package func dropConnections() {
        state.withLock { state in
            for descriptor in state.connections.values { shutdown(descriptor, Int32(SHUT_RDWR)) }
        }
    }

    package func forgetCursors() { store.forgetCursors() }
    package var openCursors: Int { store.openCursorCount }

    private func accept(on listener: Int32) {
        state.withLock { $0.listener = listener }
        listeners.change { _ = $0.insert(listener) }
        Thread.detachNewThread { [weak self, listeners] in
            while let descriptor = Sockets.accept(listener) {
                guard let self else {
                    close(descriptor)
                    break
                }
                self.serve(descriptor, listener)
            }
            close(listener)
            listeners.change { _ = $0.remove(listener) }
        }
    }

    private func serve(_ descriptor: Int32, _ listener: Int32) {
        let number: Int? = state.withLock { state in
            guard state.listener == listener else { return nil }
            defer { state.nextNumber += 1 }
            state.connections[state.nextNumber] = descriptor
            return state.nextNumber
        }
        guard let number else {
            close(descriptor)
            return
        }
        statistics.change {
            $0.connectionsOpened += 1
            $0.connectionsOpen += 1
        }
        Thread.detachNewThread { [self] in
            var connection = StandInConnection(descriptor: descriptor, number: number, server: self)
            connection.serve()
            state.withLock { $0.connections[number] = nil }
            close(descriptor)
            statistics.change { $0.connectionsOpen -= 1 }
        }
    }
}
