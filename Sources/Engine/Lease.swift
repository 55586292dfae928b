import Postgres
import Runtime

/// The right to run a job, held by one process among all replicas (INV-4).
///
/// A session advisory lock tells a dead holder at once; the row's expiry, on the database's clock, tells a frozen one.
/// Who takes over raises the fence, so that a holder who wakes up later cannot commit.
actor Lease {
    static let lifetime = "15 seconds"
    /// First half of the advisory lock's key; the second is the hash of the lease's name.
    private static let lockSpace = 7_236_120

    let name: String
    let holder: String
    let fence: Int64
    private let connection: PGConnection

    private init(name: String, holder: String, fence: Int64, connection: PGConnection) {
        self.name = name
        self.holder = holder
        self.fence = fence
        self.connection = connection
    }

    enum Attempt {
        case won(Lease, interrupted: RunID?)
        case held(by: RunID?)
    }

    /// Tries once; does not wait for the holder.
    static func acquire(_ name: String, run: RunID, holder: String, settings: PGSettings) async throws -> Attempt {
        let connection = try await PGConnection.connect(settings)
        do {
            var locked = try await lock(connection, name)
            let row = try await connection.query(
                "SELECT run_id, expires_at < clock_timestamp(), holder FROM etl.leases WHERE name = $1",
                [.text(name)]
            )
            let previous = try row.rows.first.flatMap { $0[0].isNull ? nil : RunID(rawValue: try $0[0].uuid()) }
            if !locked, try row.rows.first?[1].bool() == true {
                // The holder's session lives but its heart does not: a freeze. Its session is ended, then the lock is
                // free.
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
                VALUES ($1, $2, $3, 1, clock_timestamp() + interval '\(lifetime)')
                ON CONFLICT (name) DO UPDATE SET holder = excluded.holder, run_id = excluded.run_id,
                    fence = etl.leases.fence + 1, expires_at = excluded.expires_at
                RETURNING fence
                """,
                [.text(name), .text(holder), .uuid(run.rawValue)]
            )
            guard let fence = try won.rows.first?[0].int64() else {
                throw TallyError(.unknown, during: "lease.acquire", "the lease row could not be written")
            }
            return .won(Lease(name: name, holder: holder, fence: fence, connection: connection), interrupted: previous)
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
                AND pid <> pg_backend_pid()
            """,
            [.text(name)]
        )
    }

    /// Extends the lease. Throws `.leaseLost` when somebody else holds it by now.
    func renew() async throws {
        let renewed = try await connection.query(
            "UPDATE etl.leases SET expires_at = clock_timestamp() + interval '\(Self.lifetime)' "
                + "WHERE name = $1 AND fence = $2",
            [.text(name), .int(fence)]
        )
        guard renewed.affectedRows == 1 else {
            throw TallyError(.leaseLost, during: "lease.renew", "another process has taken over \(name)")
        }
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

/// Raises the fence of a job in a target: from then on a writer with a lower one cannot commit.
enum Fence {
    static func raise(_ job: JobName, to fence: Int64, in target: PGPool) async throws {
        try await target.withConnection { connection in
            let raised = try await connection.query(
                """
                INSERT INTO etl.fences (job, fence) VALUES ($1, $2)
                ON CONFLICT (job) DO UPDATE SET fence = excluded.fence, touched_at = clock_timestamp()
                    WHERE etl.fences.fence < excluded.fence
                """,
                [.text(job.rawValue), .int(fence)]
            )
            guard raised.affectedRows == 1 else {
                throw TallyError(
                    .leaseLost,
                    during: "fence.raise",
                    "the target knows a newer fence for \(job)",
                    remedy: "The state database may have been restored from a backup; see docs/operations."
                )
            }
        }
    }
}
