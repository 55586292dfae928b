import Crypto
package import Postgres
package import Runtime
import Synchronization

/// A record that could not be written, set aside so that the rest may flow (INV-5).
package struct DeadLetter: Sendable, Equatable {
    /// As `kept` gives it.
    package let key: String
    /// Safe to print: never a value.
    package let reason: String
    package let kind: String
    package let columns: [String]
    /// Digest of the row as it was refused; equal digests are the same unmended record.
    package let fingerprint: [UInt8]?
    /// The record itself; kept only with `DEAD_LETTER_PAYLOAD=full`, since it may hold personal data.
    package let payload: JSONValue?

    package init(
        key: String,
        reason: String,
        kind: String,
        columns: [String],
        fingerprint: [UInt8]?,
        payload: JSONValue? = nil
    ) {
        self.key = Self.kept(key)
        self.reason = reason
        self.kind = kind
        self.columns = columns
        self.fingerprint = fingerprint
        self.payload = payload
    }
}

extension DeadLetter {
    /// An index takes no row beyond a third of a page, and a key is one with the job's name.
    package static let keyBytesMax = 2_048

    /// The key that a letter is kept under: a longer one is its beginning and its SHA-256, so that no two are alike.
    ///
    /// What is kept already stays as it is.
    package static func kept(_ key: String) -> String {
        guard key.utf8.count > keyBytesMax else { return key }
        let digest = SHA256.hash(data: Array(key.utf8)).map { byte in
            String(byte >> 4, radix: 16) + String(byte & 15, radix: 16)
        }
        // A scalar takes four bytes at most.
        return String(String.UnicodeScalarView(key.unicodeScalars.prefix(256))) + "… sha256:" + digest.joined()
    }
}

/// Keeps a run's dead letters in the target; one open letter a key, with its occurrences counted.
package final class DeadLetterSink: Sendable {
    /// A run with more bad records than this has a broken mapping, not bad records.
    package static let runMax = 10_000

    private let job: JobName
    private let runID: RunID
    private let pool: PGPool?
    /// Whether a record's own content is kept beside its reason.
    package let keepsPayloads: Bool
    /// Hashes of the keys of this run's bad records.
    private let bad = Mutex<Set<Int>>([])

    package init(job: JobName, runID: RunID, pool: PGPool?, keepsPayloads: Bool = false) {
        self.keepsPayloads = keepsPayloads
        self.job = job
        self.runID = runID
        self.pool = pool
    }

    private func on<Result: Sendable>(
        _ connection: PGConnection?,
        _ body: (PGConnection) async throws -> Result
    ) async throws -> Result? {
        if let connection { return try await body(connection) }
        return try await pool?.withConnection(body)
    }

    /// Counts bad records of this run, each key once however often it is seen or recorded; writes nothing.
    ///
    /// Throws `.tooManyDeadLetters` once they are more than `runMax`.
    package func admit(_ keys: [String]) throws {
        let total = bad.withLock { bad in
            for key in keys { bad.insert(key.hashValue) }
            return bad.count
        }
        guard total <= Self.runMax else { throw Self.tooMany }
    }

    /// What a run with more than `runMax` bad records ends with.
    package static var tooMany: TallyError {
        TallyError(
            .tooManyDeadLetters,
            during: "dead-letters.record",
            "more than \(runMax) records of this run are bad",
            remedy: "That many bad records are a broken mapping. Look at `tallyman dead-letters list`."
        )
    }

    /// Records letters, in the caller's transaction when a connection is given. Throws `.tooManyDeadLetters`.
    ///
    /// A letter that is recorded again because its transaction failed counts once.
    package func record(_ letters: [DeadLetter], in connection: PGConnection?) async throws {
        guard !letters.isEmpty else { return }
        try admit(letters.map(\.key))
        _ = try await on(connection) { connection in
            for letter in letters {
                _ = try await connection.query(
                    """
                    INSERT INTO etl.dead_letters (job, key, kind, reason, columns, fingerprint, run_id,
                        payload)
                    VALUES ($1, $2, $3, $4, $5, $6, $7, $8)
                    ON CONFLICT (job, key) WHERE resolved_at IS NULL DO UPDATE SET kind = excluded.kind,
                        reason = excluded.reason, columns = excluded.columns, fingerprint = excluded.fingerprint,
                        run_id = excluded.run_id, payload = excluded.payload,
                        occurrences = etl.dead_letters.occurrences + 1,
                        last_seen_at = clock_timestamp()
                    """,
                    [
                        .text(job.rawValue), .text(letter.key), .text(letter.kind), .text(letter.reason),
                        .textArray(letter.columns), letter.fingerprint.map { .bytea($0) } ?? .null,
                        .uuid(runID.rawValue), keepsPayloads ? letter.payload.map { .json($0.text) } ?? .null : .null,
                    ]
                )
            }
        }
    }

    /// Open letters of the job: key as it is kept → fingerprint, empty where there is none. At most 100,000.
    package func openFingerprints(in connection: PGConnection?) async throws -> [String: [UInt8]] {
        let open = try await on(connection) { connection in
            try await connection.query(
                "SELECT key, coalesce(fingerprint, ''::bytea) FROM etl.dead_letters "
                    + "WHERE job = $1 AND resolved_at IS NULL LIMIT 100000",
                [.text(job.rawValue)]
            ).rows.map { (try $0[0].string(), $0[1].bytes ?? []) }
        }
        return Dictionary(open ?? [], uniquingKeysWith: { first, _ in first })
    }

    /// Closes the open letters of keys that arrived after all.
    package func resolve(keys: [String], in connection: PGConnection?) async throws {
        guard !keys.isEmpty else { return }
        _ = try await on(connection) { connection in
            try await connection.query(
                "UPDATE etl.dead_letters SET resolved_at = clock_timestamp(), resolution = 'synced' "
                    + "WHERE job = $1 AND resolved_at IS NULL AND key = ANY ($2)",
                [.text(job.rawValue), .textArray(keys.map(DeadLetter.kept))]
            )
        }
    }

    private static let unseen = "job = $1 AND resolved_at IS NULL AND run_id <> ALL ($2::uuid[])"

    /// Whether letters of the job are open that none of `runs` has recorded.
    package func hasUnseen(by runs: [RunID]) async throws -> Bool {
        try await on(nil) { connection in
            try await connection.query(
                "SELECT EXISTS (SELECT FROM etl.dead_letters WHERE \(Self.unseen))",
                [.text(job.rawValue), .textArray(runs.map(\.description))]
            ).rows[0][0].bool()
        } ?? false
    }

    /// Closes the open letters of the job that none of `runs` has recorded: what was wrong is so no more.
    ///
    /// Only after runs that have tried every record of the job anew.
    package func resolveUnseen(by runs: [RunID], in connection: PGConnection) async throws {
        _ = try await connection.query(
            "UPDATE etl.dead_letters SET resolved_at = clock_timestamp(), resolution = 'gone' WHERE \(Self.unseen)",
            [.text(job.rawValue), .textArray(runs.map(\.description))]
        )
    }
}
