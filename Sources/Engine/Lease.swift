import Postgres
import Runtime

/// The right to do something once among all replicas: to run a job, to lead the schedule (INV-4).
///
/// A session advisory lock tells a dead holder at once; the row's expiry, on the database's clock, tells a frozen one.
/// Who takes over raises the fence, so that a holder who wakes up later cannot commit. A holder that loses only its
/// connection takes the lock again as long as nobody else did.
actor Lease {
    static let lifetime = Duration.seconds(15)
    private static let lifetimeSQL = "interval '15 seconds'"
    /// First half of the advisory lock's key; the second is the hash of the lease's name.
    private static let lockSpace = 7_236_120

    let name: String
    let holder: String
    let fence: Int64
    private let settings: PGSettings
    private var connection: PGConnection
    private var renewedAt = ContinuousClock.now

    private init(name: String, holder: String, fence: Int64, settings: PGSettings, connection: PGConnection) {
        self.name = name
        self.holder = holder
        self.fence = fence
        self.settings = settings
        self.connection = connection
    }

    enum Attempt {
        /// `interrupted`: the run of a predecessor that did not give the lease back.
        case won(Lease, interrupted: RunID?)
        case held(by: RunID?)
    }

    /// Tries once; does not wait for the holder.
    static func acquire(_ name: String, run: RunID, holder: String, settings: PGSettings) async throws -> Attempt {
        let connection = try await PGConnection.connect(settings)
        do {
            var locked = try await lock(connection, name)
            let row = try await connection.query(
                "SELECT run_id, expires_at < clock_timestamp() FROM etl.leases WHERE name = $1",
                [.text(name)]
            )
            let previous = try row.rows.first.flatMap { $0[0].isNull ? nil : RunID(rawValue: try $0[0].uuid()) }
            if !locked, try row.rows.first?[1].bool() == true {
                // The holder's session lives but its heart does not: a freeze. With its session ended the lock is free.
                try await endHolder(connection, name)
                locked = try await lock(connection, name)
            }
            guard locked else {
                await connection.close()
                return .held(by: previous)
            }
            let won = try await connection.query(
                """
                INSERT INTO etl.leases (name, holder, run_id, fence, expires_at)
                VALUES ($1, $2, $3, 1, clock_timestamp() + \(lifetimeSQL))
                ON CONFLICT (name) DO UPDATE SET holder = excluded.holder, run_id = excluded.run_id,
                    fence = etl.leases.fence + 1, expires_at = excluded.expires_at
                RETURNING fence
                """,
                [.text(name), .text(holder), .uuid(run.rawValue)]
            )
            guard let fence = try won.rows.first?[0].int64() else {
                throw TallyError(.unknown, during: "lease.acquire", "the lease row could not be written")
            }
            let lease = Lease(name: name, holder: holder, fence: fence, settings: settings, connection: connection)
            return .won(lease, interrupted: previous)
        } catch {
            await connection.close()
            throw error
        }
    }

    private static func lock(_ connection: PGConnection, _ name: String) async throws -> Bool {
        try await connection.query(
            "SELECT pg_try_advisory_lock(\(lockSpace), hashtext($1))",
            [.text(name)]
        ).rows.first?[0].bool() ?? false
    }

    private static func endHolder(_ connection: PGConnection, _ name: String) async throws {
        _ = try await connection.query(
            """
            SELECT pg_terminate_backend(pid, 5000) FROM pg_locks
            WHERE locktype = 'advisory' AND classid = \(lockSpace) AND objid = hashtext($1)::oid AND granted
                AND database = (SELECT oid FROM pg_database WHERE datname = current_database())
                AND pid <> pg_backend_pid()
            """,
            [.text(name)]
        )
    }

    /// Extends the lease. Throws `.leaseLost` when somebody else holds it by now, or when it could not be extended
    /// for as long as it lives: from then on another may hold it.
    func renew() async throws {
        do {
            try await extend(connection)
        } catch let error as TallyError where error.kind.disposition == .retry || connection.isBroken {
            try await reconnect(after: error)
        }
    }

    private func extend(_ connection: PGConnection) async throws {
        let asked = ContinuousClock.now
        let renewed = try await connection.query(
            "UPDATE etl.leases SET expires_at = clock_timestamp() + \(Self.lifetimeSQL) WHERE name = $1 AND fence = $2",
            [.text(name), .int(fence)]
        )
        guard renewed.affectedRows == 1 else { throw lost }
        renewedAt = asked
    }

    private func reconnect(after error: TallyError) async throws {
        await connection.close()
        while ContinuousClock.now - renewedAt < Self.lifetime {
            do {
                let fresh = try await PGConnection.connect(settings)
                connection = fresh
                // The server may not have noticed yet that the old session is gone.
                if try await Self.lock(fresh, name) { return try await extend(fresh) }
                await fresh.close()
            } catch let again as TallyError where again.kind.disposition == .retry {
                await connection.close()
            }
            try await Task.sleep(for: .milliseconds(250))
        }
        throw TallyError(
            .leaseLost,
            during: "lease.renew",
            "the state database did not answer for \(Self.lifetime): another process may hold \(name) by now",
            cause: error
        )
    }

    private var lost: TallyError {
        TallyError(.leaseLost, during: "lease.renew", "another process has taken over \(name)")
    }

    /// Gives the lease back; its lock goes with the session.
    func release() async {
        _ = try? await connection.query(
            "UPDATE etl.leases SET run_id = NULL, expires_at = clock_timestamp() WHERE name = $1 AND fence = $2",
            [.text(name), .int(fence)]
        )
        await connection.close()
    }
}
