package import Foundation
package import Postgres
package import Runtime

/// The history of runs, in the state database.
package struct Ledger: Sendable {
    let state: PGPool

    package init(state: PGPool) {
        self.state = state
    }

    static let columns = """
        id, job, trigger, requested_by, dry_run, state, fence, queued_at, started_at, finished_at, heartbeat_at,
        progress::text, summary::text, error::text, attempt, resumed_from, part_of, in_parts,
        cancel_requested_by IS NOT NULL, (options - 'dryRun')::text
        """

    package func run(_ id: RunID) async throws -> RunRecord? {
        try await query("WHERE id = $1", [.uuid(id.rawValue)]).first
    }

    /// Newest first, at most `limit`; `before` continues behind a run already seen.
    package func runs(
        job: JobName? = nil,
        state: RunState? = nil,
        limit: Int = 50,
        before: RunID? = nil
    ) async throws -> [RunRecord] {
        try await records(Self.page(job: job, state: state, limit: limit, before: before))
    }

    package func lastRun(job: JobName, dryRun: Bool = false) async throws -> RunRecord? {
        try await records(Self.newest(job, dryRun: dryRun)).first
    }

    package func lastSuccess(job: JobName) async throws -> RunRecord? {
        try await records(Self.newestSuccess(job)).first
    }

    /// Runs that anything was written about after `instant`, oldest news first; at most 200.
    package func changes(after instant: Date) async throws -> [RunRecord] {
        try await records(Self.news(after: instant))
    }

    /// The database's own time: replicas' clocks differ, the ledger's stamps do not.
    package func now() async throws -> Date {
        try await state.withConnection { try await $0.query("SELECT clock_timestamp()").rows[0][0].date() }
    }

    private func query(_ tail: String, _ values: [PGValue]) async throws -> [RunRecord] {
        try await records(Question(tail, values))
    }

    private func records(_ question: Question) async throws -> [RunRecord] {
        try await records(question.sql, question.values)
    }

    /// The runs that a statement over `columns` gives.
    func records(_ sql: String, _ values: [PGValue]) async throws -> [RunRecord] {
        try await state.withConnection { try await $0.query(sql, values).rows.map(Self.record) }
    }

    private static func record(_ row: PGRow) throws -> RunRecord {
        func json(_ cell: PGCell) throws -> JSONValue? {
            cell.isNull ? nil : try JSONDecoder().decode(JSONValue.self, from: Data(try cell.string().utf8))
        }
        func date(_ cell: PGCell) throws -> Date? { cell.isNull ? nil : try cell.date() }
        guard let trigger = RunTrigger(rawValue: try row[2].string()),
            let state = RunState(rawValue: try row[5].string())
        else {
            throw TallyError(
                .schemaMismatch,
                during: "ledger.read",
                "a run has a state or trigger this version does not know"
            )
        }
        return RunRecord(
            id: RunID(rawValue: try row[0].uuid()),
            job: JobName(rawValue: try row[1].string()),
            trigger: trigger,
            requestedBy: try row[3].string(),
            dryRun: try row[4].bool(),
            options: try json(row[19]) ?? [:],
            state: state,
            fence: row[6].isNull ? nil : try row[6].int64(),
            queuedAt: try row[7].date(),
            startedAt: try date(row[8]),
            finishedAt: try date(row[9]),
            heartbeatAt: try date(row[10]),
            progress: try json(row[11]),
            summary: try json(row[12]),
            error: row[13].isNull
                ? nil : try JSONDecoder().decode(RunError.self, from: Data(try row[13].string().utf8)),
            attempt: try row[14].int(),
            resumedFrom: row[15].isNull ? nil : RunID(rawValue: try row[15].uuid()),
            partOf: row[16].isNull ? nil : RunID(rawValue: try row[16].uuid()),
            isInParts: try row[17].bool(),
            isCancelRequested: try row[18].bool()
        )
    }

    // MARK: Writing

    /// Opens a run, queued.
    package func insert(
        _ id: RunID,
        _ job: JobName,
        _ options: RunOptions,
        trigger: RunTrigger,
        requestedBy: String,
        holder: String,
        resuming: RunRecord? = nil,
        partOf: PartOf? = nil
    ) async throws {
        let text = try options.json()
        try await change(
            "INSERT INTO etl.runs (id, job, trigger, requested_by, dry_run, options, state, holder, attempt, "
                + "resumed_from, part_of, heartbeat_at) "
                + "VALUES ($1, $2, $3, $4, $5, $6, 'queued', $7, $8, $9, $10, clock_timestamp())",
            [
                .uuid(id.rawValue), .text(job.rawValue), .text(trigger.rawValue), .text(requestedBy),
                .bool(options.dryRun), .json(text), .text(holder), .int(Int64(Self.attempt(after: resuming))),
                resuming.map { .uuid($0.id.rawValue) } ?? .null, partOf.map { .uuid($0.run.rawValue) } ?? .null,
            ]
        )
    }

    /// A process that was told to stop has used no attempt, one that died has.
    private static func attempt(after resumed: RunRecord?) -> Int {
        guard let resumed else { return 1 }
        return resumed.attempt + (resumed.wasStopped ? 0 : 1)
    }

    /// A run that was due and did not run, for the record.
    func insertSkipped(_ id: RunID, _ job: JobName, _ options: RunOptions, requestedBy: String, holder: String)
        async throws
    {
        let text = try options.json()
        // In one statement: a queued run without a lease would be taken for one whose process died.
        try await change(
            "INSERT INTO etl.runs (id, job, trigger, requested_by, dry_run, options, state, holder, finished_at, "
                + "heartbeat_at) VALUES ($1, $2, 'schedule', $3, $4, $5, 'skipped', $6, clock_timestamp(), "
                + "clock_timestamp()) ON CONFLICT (id) DO NOTHING",
            [
                .uuid(id.rawValue), .text(job.rawValue), .text(requestedBy), .bool(options.dryRun), .json(text),
                .text(holder),
            ]
        )
    }

    /// Runs of a job that have not ended, oldest first.
    func open(job: JobName) async throws -> [RunRecord] {
        try await query(
            "WHERE state IN ('queued', 'running') AND job = $1 ORDER BY queued_at LIMIT 100",
            [.text(job.rawValue)]
        )
    }

    /// Runs that ended in the last ten minutes because their process was told to stop, and that nothing followed.
    func stopped() async throws -> [RunRecord] { try await records(Self.stoppedLately) }

    /// A run in parts lives while any of its parts does, and as long after as parts may take to be started again.
    static let partsPatienceSQL = "interval '1 hour'"

    /// Runs under way that nobody has written about for a while; their process may be dead.
    func silent(for limit: Duration) async throws -> [RunRecord] {
        try await query(
            "WHERE state IN ('queued', 'running') AND heartbeat_at < now() - make_interval(secs => $1) "
                + "AND (NOT in_parts OR cancel_requested_by IS NOT NULL "
                + "OR heartbeat_at < now() - \(Self.partsPatienceSQL)) ORDER BY queued_at LIMIT 100",
            [.double(Double(limit.components.seconds))]
        )
    }

    /// The run in parts of a job that is under way: neither ended, cancelled nor left for longer than the patience.
    func runInParts(job: JobName) async throws -> RunRecord? {
        try await query(
            "WHERE state = 'running' AND job = $1 AND in_parts AND cancel_requested_by IS NULL "
                + "AND heartbeat_at >= now() - \(Self.partsPatienceSQL) ORDER BY queued_at DESC LIMIT 1",
            [.text(job.rawValue)]
        ).first
    }

    /// What a run was asked to do.
    package func options(of id: RunID) async throws -> RunOptions? {
        try await state.withConnection { connection in
            let rows = try await connection.query(
                "SELECT options::text FROM etl.runs WHERE id = $1",
                [.uuid(id.rawValue)]
            ).rows
            return try rows.first.map {
                try JSONDecoder().decode(RunOptions.self, from: Data(try $0[0].string().utf8))
            }
        }
    }

    /// Moves a run on; a move that the state machine does not know changes nothing and throws.
    ///
    /// Gives the state that stands: an interrupted run that somebody asked to cancel is cancelled, since who asked was
    /// promised that it goes on nowhere.
    @discardableResult
    package func move(
        _ id: RunID,
        to next: RunState,
        fence: Int64? = nil,
        progress: JSONValue? = nil,
        summary: JSONValue? = nil,
        error: RunError? = nil
    ) async throws -> RunState {
        let from = RunState.allCases.filter { $0.successors.contains(next) }.map(\.rawValue)
        let errorText = try error.map { String(decoding: try JSONEncoder().encode($0), as: UTF8.self) }
        let stamp = next == .running ? "started_at" : "finished_at"
        let moved = try await state.withConnection { connection in
            try await connection.query(
                """
                UPDATE etl.runs SET state = CASE WHEN $2 = 'interrupted' AND cancel_requested_by IS NOT NULL
                        THEN 'cancelled' ELSE $2 END, \(stamp) = clock_timestamp(), heartbeat_at = clock_timestamp(),
                    fence = coalesce($3::bigint, fence), progress = coalesce($4::jsonb, progress),
                    summary = coalesce($5::jsonb, summary), error = coalesce($6::jsonb, error)
                WHERE id = $1 AND state = ANY ($7) RETURNING state
                """,
                [
                    .uuid(id.rawValue), .text(next.rawValue), fence.map { .int($0) } ?? .null,
                    progress.map { .json($0.text) } ?? .null, summary.map { .json($0.text) } ?? .null,
                    errorText.map { .json($0) } ?? .null, .textArray(from),
                ]
            ).rows.first?[0].string()
        }
        guard let stands = moved.flatMap({ RunState(rawValue: $0) }) else {
            throw TallyError(.leaseLost, during: "ledger.move", "run \(id) could not become \(next.rawValue)")
        }
        return stands
    }

    /// Notes that the run lives and how far it is; who asked to cancel it, if anybody.
    ///
    /// A part notes it for its whole as well; who asks to cancel the whole asks all its parts.
    func heartbeat(_ id: RunID, _ progress: JSONValue, of whole: RunID? = nil) async throws -> String? {
        try await state.withConnection { connection in
            if let whole, let by = try await noteWhole(whole, on: connection) { return by }
            let result = try await connection.query(
                "UPDATE etl.runs SET heartbeat_at = clock_timestamp(), progress = $2 WHERE id = $1 "
                    + "RETURNING coalesce(cancel_requested_by, '')",
                [.uuid(id.rawValue), .json(progress.text)]
            )
            let by = try result.rows.first?[0].string() ?? ""
            return by.isEmpty ? nil : by
        }
    }

    /// Asks whichever replica runs it to stop; false when the run is not under way.
    package func requestCancel(_ id: RunID, by: String) async throws -> Bool {
        try await change(
            "UPDATE etl.runs SET cancel_requested_by = $2 WHERE id = $1 AND state IN ('queued', 'running')",
            [.uuid(id.rawValue), .text(by)]
        ) == 1
    }

    @discardableResult
    private func change(_ sql: String, _ values: [PGValue]) async throws -> Int {
        try await state.withConnection { try await $0.query(sql, values).affectedRows }
    }
}

// MARK: Questions

extension Ledger {
    /// A statement that reads the history; its plan is held by a test over a million runs.
    package struct Question: Sendable {
        package let sql: String
        package let values: [PGValue]

        fileprivate init(_ tail: String, _ values: [PGValue]) {
            sql = "SELECT \(Ledger.columns) FROM etl.runs \(tail)"
            self.values = values
        }
    }

    /// One page of the history.
    package static func page(job: JobName?, state: RunState?, limit: Int, before: RunID?) -> Question {
        var conditions: [String] = []
        var values: [PGValue] = []
        if let job {
            values.append(.text(job.rawValue))
            conditions.append("job = $\(values.count)")
        }
        if let state {
            values.append(.text(state.rawValue))
            conditions.append("state = $\(values.count)")
        }
        if let before {
            values.append(.uuid(before.rawValue))
            conditions.append("(queued_at, id) < (SELECT queued_at, id FROM etl.runs WHERE id = $\(values.count))")
        }
        let filter = conditions.isEmpty ? "" : "WHERE " + conditions.joined(separator: " AND ")
        return Question("\(filter) ORDER BY queued_at DESC, id DESC LIMIT \(min(1_000, max(1, limit)))", values)
    }

    /// The newest run of a job.
    package static func newest(_ job: JobName, dryRun: Bool) -> Question {
        // Written out, not bound: each has an index of its own.
        let filter = dryRun ? "dry_run" : "NOT dry_run"
        return Question(
            "WHERE job = $1 AND \(filter) ORDER BY queued_at DESC, id DESC LIMIT 1",
            [.text(job.rawValue)]
        )
    }

    /// The newest success of a job that could write and covered the whole of it.
    package static func newestSuccess(_ job: JobName) -> Question {
        Question(
            "WHERE job = $1 AND state = 'succeeded' AND NOT dry_run AND \(Ledger.isWhole) "
                + "ORDER BY queued_at DESC, id DESC LIMIT 1",
            [.text(job.rawValue)]
        )
    }

    /// What changed after an instant.
    package static func news(after instant: Date) -> Question {
        Question("WHERE heartbeat_at > $1 ORDER BY heartbeat_at LIMIT 200", [.timestamp(instant)])
    }

    /// Runs that ended lately because their process was told to stop, and that nothing followed.
    package static var stoppedLately: Question {
        // now(), not clock_timestamp(): what changes within a statement is looked up in no index.
        Question(
            """
            r WHERE finished_at > now() - interval '10 minutes' AND state = 'interrupted'
                AND error ->> 'kind' = $1 AND NOT EXISTS (
                    SELECT FROM etl.runs n WHERE n.job = r.job AND n.queued_at > r.queued_at AND n.state <> 'skipped')
            ORDER BY queued_at LIMIT 100
            """,
            [.text(TallyError.Kind.cancelled.rawValue)]
        )
    }
}

extension RunOptions {
    /// As the ledger keeps them.
    func json() throws -> String { String(decoding: try JSONEncoder().encode(self), as: UTF8.self) }
}
