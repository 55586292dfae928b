import Postgres
import Synchronization

/// One pool a database, whoever asks for it; probes have sessions of their own.
///
/// Two settings are the same database when host, port and name agree.
final class DatabasePools: Sendable {
    private struct State {
        var pools: [PGDatabaseName?: PGPool] = [:]
        var probes: [PGDatabaseName?: PGPool] = [:]
    }
    private let state = Mutex(State())

    /// The pool of a database; `maxConnections` counts for whoever asks first.
    func pool(_ settings: PGSettings, maxConnections: Int = 8) -> PGPool {
        state.withLock { state in
            if let known = state.pools[settings.database] { return known }
            let pool = PGPool(settings, maxConnections: maxConnections)
            state.pools[settings.database] = pool
            return pool
        }
    }

    /// Two sessions for probes: a busy pool must not make the daemon look dead.
    func probePool(_ settings: PGSettings) -> PGPool {
        state.withLock { state in
            if let known = state.probes[settings.database] { return known }
            let pool = PGPool(settings.forProbes, maxConnections: 2, acquireTimeout: .seconds(2))
            state.probes[settings.database] = pool
            return pool
        }
    }

    /// Every pool that was asked for, without those of probes.
    var all: [PGPool] { state.withLock { Array($0.pools.values) } }

    /// Closes every session; no pool lends one afterwards.
    func close() async {
        let every = state.withLock { Array($0.pools.values) + Array($0.probes.values) }
        for pool in every { await pool.close() }
    }
}

extension PGSettings {
    /// The same database with limits that suit a probe.
    fileprivate var forProbes: PGSettings {
        PGSettings(
            url: url,
            applicationName: applicationName,
            connectTimeout: .seconds(2),
            statementTimeout: .seconds(2)
        )
    }
}
