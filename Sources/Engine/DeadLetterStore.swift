package import Foundation
package import Postgres
import Runtime

/// An open dead letter as operators see it; never a value.
package struct OpenDeadLetter: Sendable {
    /// Names the letter over all databases: `<role>-<number>`.
    package let id: String
    package let job: JobName
    package let key: String
    package let kind: String
    package let reason: String
    package let columns: [String]
    package let occurrences: Int
    package let firstSeenAt: Date
    package let lastSeenAt: Date
    package let runID: RunID
}

/// Dead letters of all targets, to be listed, tried again or discarded by an operator.
package struct DeadLetterStore: Sendable {
    private let targets: [(role: String, pool: PGPool)]

    /// Targets by role; one database under two roles is read once, under the first.
    package init(_ targets: [(role: String, pool: PGPool)]) {
        var distinct: [(role: String, pool: PGPool)] = []
        for target in targets where !distinct.contains(where: { $0.pool === target.pool }) { distinct.append(target) }
        self.targets = distinct
    }

    /// Open letters, newest number first within a database, databases in their order.
    ///
    /// `before` is the id of the last letter of the page before. Throws `.requestInvalid` when it is none.
    package func list(job: JobName?, limit: Int, before: String?) async throws -> [OpenDeadLetter] {
        let start = try before.map { text in
            guard let place = locate(text) else {
                throw TallyError(.requestInvalid, during: "dead-letters.list", "\"before\" is no dead letter's id")
            }
            return place
        }
        var letters: [OpenDeadLetter] = []
        for (index, target) in targets.enumerated() where letters.count < limit && index >= (start?.index ?? 0) {
            let below = index == start?.index ? start?.number : nil
            letters += try await page(target, job: job, limit: limit - letters.count, below: below)
        }
        return letters
    }

    /// Forgets what the refused row looked like, so that the next run takes it for a new one and tries it.
    ///
    /// Of one letter, or of all of a job, or of all; the number of letters. 0 for an id that is not open.
    package func retry(id: String?, job: JobName?) async throws -> Int {
        try await change(
            id: id,
            job: job,
            "UPDATE etl.dead_letters SET fingerprint = NULL WHERE resolved_at IS NULL "
                + "AND ($1::bigint IS NULL OR id = $1) AND ($2::text IS NULL OR job = $2)",
            []
        )
    }

    /// Closes a letter for good, with who did it; false when it is not open.
    package func discard(id: String, by: String) async throws -> Bool {
        try await change(
            id: id,
            job: nil,
            "UPDATE etl.dead_letters SET resolved_at = clock_timestamp(), resolution = 'discarded by ' || $3::text "
                + "WHERE resolved_at IS NULL AND ($1::bigint IS NULL OR id = $1) AND ($2::text IS NULL OR job = $2)",
            [.text(by)]
        ) > 0
    }

    /// Open letters by job over all targets.
    package func openCounts() async throws -> [JobName: Int] {
        var counts: [JobName: Int] = [:]
        for target in targets {
            let rows = try await target.pool.withConnection { connection in
                try await connection.query(
                    "SELECT job, count(*) FROM etl.dead_letters WHERE resolved_at IS NULL GROUP BY job"
                ).rows
            }
            for row in rows { counts[JobName(rawValue: try row[0].string()), default: 0] += try row[1].int() }
        }
        return counts
    }

    private func change(id: String?, job: JobName?, _ sql: String, _ more: [PGValue]) async throws -> Int {
        var places = targets
        var number: PGValue = .null
        if let id {
            guard let place = locate(id) else { return 0 }
            places = [targets[place.index]]
            number = .int(place.number)
        }
        var changed = 0
        for target in places {
            changed += try await target.pool.withConnection { connection in
                try await connection.query(sql, [number, job.map { .text($0.rawValue) } ?? .null] + more).affectedRows
            }
        }
        return changed
    }

    /// A bare number is one of the first target.
    private func locate(_ id: String) -> (index: Int, number: Int64)? {
        if let number = Int64(id), !targets.isEmpty { return (0, number) }
        guard let dash = id.lastIndex(of: "-"), let number = Int64(id[id.index(after: dash)...]),
            let index = targets.firstIndex(where: { $0.role == id[..<dash] })
        else { return nil }
        return (index, number)
    }

    private func page(
        _ target: (role: String, pool: PGPool),
        job: JobName?,
        limit: Int,
        below: Int64?
    ) async throws -> [OpenDeadLetter] {
        let rows = try await target.pool.withConnection { connection in
            try await connection.query(
                """
                SELECT id, job, key, kind, reason, array_to_string(columns, chr(31)), occurrences, first_seen_at,
                       last_seen_at, run_id
                FROM etl.dead_letters
                WHERE resolved_at IS NULL AND ($1::text IS NULL OR job = $1) AND ($2::bigint IS NULL OR id < $2)
                ORDER BY id DESC LIMIT $3
                """,
                [job.map { .text($0.rawValue) } ?? .null, below.map { .int($0) } ?? .null, .int(Int64(limit))]
            ).rows
        }
        return try rows.map { row in
            OpenDeadLetter(
                id: "\(target.role)-\(try row[0].int())",
                job: JobName(rawValue: try row[1].string()),
                key: try row[2].string(),
                kind: try row[3].string(),
                reason: try row[4].string(),
                columns: try row[5].string().split(separator: "\u{1F}").map(String.init),
                occurrences: try row[6].int(),
                firstSeenAt: try row[7].date(),
                lastSeenAt: try row[8].date(),
                runID: RunID(rawValue: try row[9].uuid())
            )
        }
    }
}
