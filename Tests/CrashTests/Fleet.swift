import Foundation
import Synchronization
import TestKit

/// Three replicas, each with networks and a clock of its own, under faults that come one a second.
final class Fleet: Sendable {
    enum Fault: String, CaseIterable, Sendable {
        case kill, freeze, thaw, cutCart, cutSource, silenceCart, silenceSource, restartServer, restartSource
        case slowDisk, clockForward, clockBack
    }

    private struct Slot {
        let cart: TCPProxy
        let source: TCPProxy
        let clock: FakeTime
        var daemon: Daemon?
        var isFrozen = false
    }

    let replicas: Replicas
    private let server: RestartablePostgres
    private let slots: Mutex<[Slot]>
    private let injected = Mutex<[Fault: Int]>([:])
    private let slow = Mutex<[ChildProcess]>([])

    init(_ replicas: Replicas, _ server: RestartablePostgres) throws {
        self.replicas = replicas
        self.server = server
        slots = Mutex(
            try (0..<3).map { _ in
                Slot(
                    cart: try TCPProxy(to: server.port),
                    source: try TCPProxy(to: replicas.source.port),
                    clock: try FakeTime()
                )
            }
        )
    }

    /// Those that met something: a daemon that is up, a frozen one to thaw, a database.
    var faults: [Fault: Int] { injected.withLock { $0 } }

    /// A daemon to ask, if one is up and awake.
    func anyone(_ random: inout some RandomNumberGenerator) -> Daemon? {
        slots.withLock { $0.filter { !$0.isFrozen }.compactMap(\.daemon) }.randomElement(using: &random)
    }

    private func start(_ index: Int) throws {
        try slots.withLock { slots in
            guard slots[index].daemon == nil else { return }
            var settings = replicas.settings(mongoPort: slots[index].source.port, cartPort: slots[index].cart.port)
            settings["LOG_LEVEL"] = "critical"
            settings.merge(slots[index].clock.environment) { $1 }
            slots[index].daemon = try Daemon(settings)
        }
    }

    func inject(_ fault: Fault, on index: Int) throws {
        // Who died a second ago comes back.
        for other in 0..<3 where other != index { try start(other) }
        let slot = slots.withLock { $0[index] }
        let meets: Bool =
            switch fault {
            case .thaw: slots.withLock { $0.contains(where: \.isFrozen) }
            case .restartServer, .restartSource, .slowDisk: true
            default: slot.daemon != nil
            }
        switch fault {
        case .kill:
            slot.daemon?.signal(SIGKILL)
            slots.withLock {
                $0[index].daemon = nil
                $0[index].isFrozen = false
            }
        case .freeze: setFrozen(true, index)
        case .thaw: for index in 0..<3 { setFrozen(false, index) }
        case .cutCart: slot.cart.cut()
        case .cutSource: slot.source.cut()
        case .silenceCart: slot.cart.stall(true)
        case .silenceSource: slot.source.stall(true)
        case .restartServer: try server.crashAndRestart()
        case .restartSource:
            replicas.source.stop()
            try replicas.source.restart()
        case .slowDisk: try slowDisk()
        case .clockForward: try slot.clock.shift(by: 7_200)
        case .clockBack: try slot.clock.shift(by: -7_200)
        }
        if meets { injected.withLock { $0[fault, default: 0] += 1 } }
        for (other, slot) in slots.withLock({ Array($0.enumerated()) }) where other != index {
            slot.cart.stall(false)
            slot.source.stall(false)
        }
    }

    private func setFrozen(_ isFrozen: Bool, _ index: Int) {
        slots.withLock { slots in
            slots[index].daemon?.signal(isFrozen ? SIGSTOP : SIGCONT)
            slots[index].isFrozen = isFrozen && slots[index].daemon != nil
        }
    }

    /// Every write of the table waits a second and a half, as on a disk that hangs.
    private func slowDisk() throws {
        let sql = "BEGIN; LOCK TABLE product IN SHARE MODE; SELECT pg_sleep(1.5); COMMIT"
        let child = try ChildProcess("psql", ["-X", "-q", "-d", replicas.cart, "-c", sql])
        child.closeInput()
        slow.withLock { $0 = [child] }
    }

    /// Everything is well again, and every replica answers.
    func heal() async throws {
        for index in 0..<3 { setFrozen(false, index) }
        for slot in slots.withLock({ $0 }) {
            slot.cart.stall(false)
            slot.source.stall(false)
            try slot.clock.shift(by: 0)
        }
        for index in 0..<3 { try start(index) }
        for daemon in slots.withLock({ $0.compactMap(\.daemon) }) { try await daemon.ready() }
        for child in slow.withLock({ $0 }) { try await child.wait() }
    }

    func stop() {
        for slot in slots.withLock({ $0 }) {
            slot.daemon?.signal(SIGKILL)
            slot.cart.close()
            slot.source.close()
        }
    }
}
