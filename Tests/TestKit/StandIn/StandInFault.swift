import Dispatch
import Runtime

/// Something that goes wrong, once or often, when a command of some kind arrives.
package struct StandInFault: Sendable {
    package enum Action: Sendable {
        /// `ok: 0` with this code, after nothing was done.
        case fail(code: Int32, name: String, labels: [String])
        /// This document instead of the answer.
        case answer([UInt8])
        /// The connection ends before the command is carried out.
        case dropBefore
        /// The command is carried out and the connection ends without an answer.
        case dropAfter
        /// The same with RST instead of FIN.
        case reset
        /// No answer, ever; the connection stays open until the stand-in stops.
        case neverAnswer
        /// The answer comes later.
        case delay(Duration)
        /// The answer comes when the test opens the gate.
        case hold(StandInGate)
        /// Only this part of the answer's bytes is sent, then the connection ends.
        case truncate(Double)
        /// The closure runs before the command is carried out: between two pages, for instance.
        case run(@Sendable (MongoStandIn) throws -> Void)
    }

    let commands: Set<String>
    let collection: String?
    /// How many matching commands still pass before it happens.
    var skip: Int
    /// How often it still happens.
    var times: Int
    let action: Action

    /// - Parameters:
    ///   - commands: names such as `find`, `getMore`, `count`, `hello`; empty means any but the handshake's.
    ///   - skip: the number of matching commands that pass first.
    ///   - times: how often it happens; `.max` for always.
    package init(
        _ action: Action,
        on commands: Set<String> = ["find"],
        collection: String? = nil,
        skip: Int = 0,
        times: Int = 1
    ) {
        self.action = action
        self.commands = Set(commands.map { $0.lowercased() })
        self.collection = collection
        self.skip = skip
        self.times = times
    }

    static let handshake: Set<String> = ["hello", "ismaster", "saslstart", "saslcontinue", "ping", "endsessions"]

    func concerns(_ command: String, _ collection: String?) -> Bool {
        guard self.collection == nil || self.collection == collection else { return false }
        return commands.isEmpty ? !Self.handshake.contains(command) : commands.contains(command)
    }
}

extension StandInFault.Action {
    /// The cursor is gone, as after a restart or ten idle minutes.
    package static let cursorNotFound = Self.fail(code: 43, name: "CursorNotFound", labels: [])
    /// A step-down; drivers look for another primary and, for reads, try once more by themselves.
    package static let notWritablePrimary = Self.fail(code: 10_107, name: "NotWritablePrimary", labels: [])
    package static let shutdownInProgress = Self.fail(code: 91, name: "ShutdownInProgress", labels: [])
    package static let interruptedAtShutdown = Self.fail(code: 11_600, name: "InterruptedAtShutdown", labels: [])
    package static let maxTimeExpired = Self.fail(code: 50, name: "MaxTimeMSExpired", labels: [])
    package static let unauthorized = Self.fail(code: 13, name: "Unauthorized", labels: [])
}

/// Holds a command until the test lets it go on, and tells the test that one has arrived.
package final class StandInGate: Sendable {
    private let state = Watched((waiting: 0, isOpen: false))

    package init() {}

    package func open() { state.change { $0.isOpen = true } }

    /// Returns once a command waits here.
    package func waitForArrival(within limit: Duration = .seconds(30)) async throws {
        try await state.wait(within: limit) { $0.waiting > 0 }
    }

    func pass() {
        state.change { $0.waiting += 1 }
        _ = state.waitBlocking(within: .seconds(600)) { $0.isOpen }
    }
}
