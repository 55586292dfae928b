import Postgres
import Runtime

/// Opens the one snapshot that a run reads its source under.
enum SourceSnapshot {
    /// Settings under which a value's text form is the same on every server and keeps every digit.
    static let textSettings = """
        SET LOCAL datestyle = 'ISO, YMD'; SET LOCAL intervalstyle = 'postgres'; SET LOCAL timezone = 'UTC';
        SET LOCAL extra_float_digits = 3; SET LOCAL bytea_output = 'hex'; SET LOCAL lc_monetary = 'C';
        SET LOCAL xmloption = 'content'
        """

    /// Begins a read-only transaction that sees one moment of the source; what that moment is.
    ///
    /// Whoever is open is looked up before the snapshot is taken, so that a transaction which ends between the two is
    /// on one of the lists.
    static func open(_ connection: PGConnection) async throws -> SnapshotMark {
        let identity = try await identity(connection)
        let since = try await connection.query(
            """
            SELECT least(clock_timestamp(), (SELECT min(xact_start) FROM pg_stat_activity
                WHERE datname = current_database() AND pid <> pg_backend_pid()
                    AND backend_type NOT IN ('autovacuum worker', 'walsender')),
                (SELECT min(prepared) FROM pg_prepared_xacts WHERE database = current_database()))
            """
        )
        guard let row = since.rows.first else {
            throw TallyError(.sourceUnreachable, during: "export.snapshot", "the source did not tell the time")
        }
        let moment = PGMicros.of(try row[0].date())
        try await connection.execute(
            "BEGIN ISOLATION LEVEL REPEATABLE READ READ ONLY; "
                + "SET LOCAL idle_in_transaction_session_timeout = '15min'; \(textSettings)"
        )
        let function = connection.serverVersion >= 130_000 ? "pg_current_snapshot" : "txid_current_snapshot"
        let snapshot = try await connection.query("SELECT \(function)()::text").rows.first?[0].string()
        guard let identity, let snapshot else { return SnapshotMark(sinceMicros: moment, visible: nil) }
        return SnapshotMark(
            sinceMicros: moment,
            visible: .init(
                system: identity.system,
                timeline: identity.timeline,
                database: identity.database,
                text: snapshot
            )
        )
    }

    /// Which server and history the transaction ids belong to; nil on a replica and where a server hides it.
    private static func identity(
        _ connection: PGConnection
    ) async throws -> (system: String, timeline: String, database: String)? {
        do {
            let rows = try await connection.query(
                """
                SELECT (SELECT system_identifier::text FROM pg_control_system()),
                       CASE WHEN NOT pg_is_in_recovery() THEN left(pg_walfile_name(pg_current_wal_lsn()), 8) END,
                       (SELECT oid::int8::text FROM pg_database WHERE datname = current_database())
                """
            ).rows
            guard let row = rows.first, !row[1].isNull else { return nil }
            return (try row[0].string(), try row[1].string(), try row[2].string())
        } catch let error as TallyError where ["42501", "0A000", "42883", "55000"].contains(error.sqlState) {
            return nil
        }
    }
}

extension TallyError {
    /// The server's own code, empty where no server spoke.
    var sqlState: String { serverError?.sqlState ?? "" }
}
