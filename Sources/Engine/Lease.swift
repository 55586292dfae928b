import Postgres
import Runtime

/// The right to do something once among all replicas: to run a job, to lead the schedule (INV-4).
///
/// A session advisory lock tells a dead holder at once; the row's expiry, on the database's clock, tells a frozen one.
/// Who takes over raises the fence, so that a holder who wakes up later cannot commit. A holder that loses only its
/// connection takes the lock again as long as nobody else did.
actor Lease {
    /// A frozen holder is replaced that long after its last heartbeat, and as long as a look for it takes.
    static let lifetime = Duration.seconds(10)
    private static let lifetimeSQL = "interval '10 seconds'"
    /// A server that says nothing for that long is asked again over another connection.
    private static let patience = Duration.seconds(3)
    /// First half of the advisory lock's key; the second is the hash of the lease's name.
    private static let lockSpace = 7_236_120

    let name: String
    let holder: String
    let fence: Int64
    /// The lease of the whole that this one is for a part of: held shared, so that parts run beside each other and
    /// never beside the whole.
    private let sharing: String?
    private let settings: PGSettings
    private var connection: PGConnection
    private var renewedAt = ContinuousClock.now

    private init(
        name: String,
        holder: String,
        fence: Int64,
        sharing: String?,
        settings: PGSettings,
        connection: PGConnection
    ) {
        self.name = name
        self.holder = holder
        self.fence = fence
        self.sharing = sharing
        self.settings = settings
        self.connection = connection
    }

    /// How the lease of a job is called.
    static func name(of job: JobName) -> String { "job:\(job)" }

    enum Attempt {
        case won(Lease)
        case held
    }

    /// Whether a lease is held by a session that lives and is not past its expiry: then there is nothing to be won.
    static func isHeld(_ name: String, on connection: PGConnection) async throws -> Bool {
        try await connection.query(
            """
            SELECT EXISTS (SELECT FROM etl.leases WHERE name = $1 AND expires_at >= clock_timestamp())
                AND EXISTS (SELECT FROM pg_locks WHERE locktype = 'advisory' AND granted
                    AND classid = \(lockSpace) AND objid = hashtext($1)::oid
                    AND database = (SELECT oid FROM pg_database WHERE datname = current_database()))
            """,
            [.text(name)]
        ).rows.first?[0].bool() ?? false
    }

    /// Tries once; does not wait for the holder, nor longer than 15 seconds for the server.
    static func acquire(
        _ name: String,
        sharing: String? = nil,
        run: RunID,
        holder: String,
        settings: PGSettings
    ) async throws -> Attempt {
        try await withDeadline(.seconds(15), during: "lease.acquire") {
            try await attempt(name, sharing: sharing, run: run, holder: holder, settings: settings)
        }
    }

    private static func attempt(
        _ name: String,
        sharing: String?,
        run: RunID,
        holder: String,
        settings: PGSettings
    ) async throws -> Attempt {
        let connection = try await PGConnection.connect(settings)
        do {
            var locked = try await lock(connection, name, sharing)
            let row = try await connection.query(
                "SELECT expires_at < clock_timestamp() FROM etl.leases WHERE name = $1",
                [.text(name)]
            )
            if !locked, try row.rows.first?[0].bool() == true {
                // The holder's session lives but its heart does not: a freeze. With its session ended the lock is free.
                try await endHolder(connection, name, sharing)
                locked = try await lock(connection, name, sharing)
            }
            guard locked else {
                await connection.close()
                return .held
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
            return .won(
                Lease(
                    name: name,
                    holder: holder,
                    fence: fence,
                    sharing: sharing,
                    settings: settings,
                    connection: connection
                )
            )
        } catch {
            await connection.close()
            throw error
        }
    }

    /// The next fence of a part that runs inside its whole's process, whose lease covers it.
    static func nextFence(_ name: String, run: RunID, holder: String, on connection: PGConnection) async throws -> Int64
    {
        let raised = try await connection.query(
            """
            INSERT INTO etl.leases (name, holder, run_id, fence, expires_at)
            VALUES ($1, $2, $3, 1, clock_timestamp())
            ON CONFLICT (name) DO UPDATE SET holder = excluded.holder, run_id = excluded.run_id,
                fence = etl.leases.fence + 1, expires_at = excluded.expires_at
            RETURNING fence
            """,
            [.text(name), .text(holder), .uuid(run.rawValue)]
        )
        guard let fence = try raised.rows.first?[0].int64() else {
            throw TallyError(.unknown, during: "lease.fence", "the lease row could not be written")
        }
        return fence
    }

    private static func lock(_ connection: PGConnection, _ name: String, _ sharing: String?) async throws -> Bool {
        try await connection.query(
            """
            SELECT CASE WHEN pg_try_advisory_lock(\(lockSpace), hashtext($1)) THEN
                CASE WHEN $2::text IS NULL THEN true
                     ELSE pg_try_advisory_lock_shared(\(lockSpace), hashtext($2)) END
                ELSE false END
            """,
            [.text(name), sharing.map { .text($0) } ?? .null]
        ).rows.first?[0].bool() ?? false
    }

    /// Ends the sessions of holders whose own lease ran out, whether they hold this lock alone or share it.
    ///
    /// A session that is younger than the expiry belongs to somebody who just won the lock and has not written the row
    /// yet: it is left alone for as long as a lease lives.
    private static func endHolder(_ connection: PGConnection, _ name: String, _ sharing: String?) async throws {
        _ = try await connection.query(
            """
            SELECT pg_terminate_backend(a.pid, 5000) FROM pg_stat_activity a
            WHERE a.pid <> pg_backend_pid() AND EXISTS (
                    SELECT FROM pg_locks k WHERE k.pid = a.pid AND k.locktype = 'advisory' AND k.granted
                        AND k.classid = \(lockSpace)
                        AND k.objid IN (hashtext($1)::oid, hashtext(coalesce($2::text, $1))::oid)
                        AND k.database = (SELECT oid FROM pg_database WHERE datname = current_database()))
                AND EXISTS (
                    SELECT FROM pg_locks own JOIN etl.leases l ON hashtext(l.name)::oid = own.objid
                    WHERE own.pid = a.pid AND own.locktype = 'advisory' AND own.granted
                        AND own.classid = \(lockSpace) AND own.mode = 'ExclusiveLock'
                        AND own.database = (SELECT oid FROM pg_database WHERE datname = current_database())
                        AND l.expires_at < clock_timestamp()
                        AND a.backend_start < greatest(l.expires_at, clock_timestamp() - \(lifetimeSQL)))
            """,
            [.text(name), sharing.map { .text($0) } ?? .null]
        )
    }

    /// Extends the lease. Throws `.leaseLost` when somebody else holds it by now, or when it could not be extended
    /// for as long as it lives: from then on another may hold it.
    func renew() async throws {
        do {
            let connection = connection
            try await withDeadline(Self.patience, during: "lease.renew") { try await self.extend(connection) }
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
                let isOurs = try await withDeadline(Self.patience, during: "lease.renew") {
                    guard try await Self.lock(fresh, self.name, self.sharing) else { return false }
                    try await self.extend(fresh)
                    return true
                }
                if isOurs { return }
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

    /// Does `body` and renews meanwhile; gives the lease back however that ends. Throws as `renew` does.
    nonisolated func whileHeld<Result: Sendable>(
        _ body: @escaping @Sendable () async throws -> Result
    ) async throws -> Result {
        do {
            let result = try await withThrowingTaskGroup(of: Result?.self) { group in
                group.addTask { try await body() }
                group.addTask {
                    while !Task.isCancelled {
                        try await Task.sleep(for: .seconds(1))
                        try await self.renew()
                    }
                    return nil
                }
                defer { group.cancelAll() }
                while let next = try await group.next() {
                    if let result = next { return result }
                }
                throw CancellationError()
            }
            await release()
            return result
        } catch {
            await release()
            throw error
        }
    }

    /// Gives the lease back; its lock goes with the session.
    func release() async {
        let (connection, name, fence) = (connection, name, fence)
        _ = try? await withDeadline(Self.patience, during: "lease.release") {
            try await connection.query(
                "UPDATE etl.leases SET run_id = NULL, expires_at = clock_timestamp() WHERE name = $1 AND fence = $2",
                [.text(name), .int(fence)]
            )
        }
        await connection.close()
    }
}
