import API
import Cron
import Foundation
import Runtime
import Synchronization

@testable import Engine

/// An engine that answers from memory.
final class FakeRuns: RunsPort {
    struct State {
        var records: [RunID: RunRecord] = [:]
        var submitted: [(job: JobName, options: RunOptions, by: String)] = []
        var shards: [RunID: [ShardRecord]] = [:]
        var cancelled: [RunID] = []
        var busy: RunBusy?
        var next: RunRecord?
        var claims: [String: (IdempotencyClaim, RunID)] = [:]
        /// How often the ledger will not say what changed, from the next question on.
        var silences = 0
        var questions = 0
        var now = Date(timeIntervalSince1970: 0)
    }

    let state = Mutex(State())
    let jobs = [
        JobDescription(name: "product_sync", options: [.dryRun, .batchSize, .verify]),
        JobDescription(name: "retail", options: [.dryRun, .stage]),
    ]

    /// The record that the next submitted run will end with.
    func willEnd(with record: RunRecord) {
        state.withLock {
            $0.next = record
            $0.records[record.id] = record
        }
    }

    func submit(_ job: JobName, _ options: RunOptions, requestedBy: String, id: RunID) async throws -> RunID {
        try state.withLock { state in
            if let busy = state.busy { throw busy }
            state.submitted.append((job, options, requestedBy))
            guard let next = state.next else { throw CancellationError() }
            return next.id
        }
    }

    func wait(_ id: RunID) async throws -> RunRecord {
        guard let record = state.withLock({ $0.records[id] }) else { throw CancellationError() }
        return record
    }

    func cancel(_ id: RunID, by: String) async throws -> Bool {
        state.withLock { state in
            guard let record = state.records[id], record.state == .running else { return false }
            state.cancelled.append(id)
            return true
        }
    }

    func progress(_ id: RunID) -> ProgressSnapshot? { nil }
    func shards(of id: RunID) async throws -> [ShardRecord] { state.withLock { $0.shards[id] ?? [] } }
    func run(_ id: RunID) async throws -> RunRecord? { state.withLock { $0.records[id] } }

    func runs(_ query: RunsQuery) async throws -> [RunRecord] {
        state.withLock { state in
            Array(state.records.values.filter { query.state == nil || $0.state == query.state }.prefix(query.limit))
        }
    }

    func lastRun(_ job: JobName, dryRun: Bool) async throws -> RunRecord? {
        state.withLock { $0.records.values.first { $0.job == job && $0.dryRun == dryRun } }
    }

    func lastSuccess(_ job: JobName) async throws -> RunRecord? {
        state.withLock { $0.records.values.first { $0.job == job && $0.state == .succeeded && !$0.dryRun } }
    }

    func newest(_ which: NewestRun) async throws -> [RunRecord] {
        state.withLock { state in
            jobs.compactMap { job in
                state.records.values.filter { $0.job == job.name }.sorted { $0.queuedAt > $1.queuedAt }.first {
                    switch which {
                    case .ended: !$0.dryRun && $0.state.isFinal && $0.state != .skipped
                    case .standing:
                        !$0.dryRun && $0.state.isFinal && $0.state != .skipped && $0.summary?["isWhole"] != false
                    case .proved: !$0.dryRun && $0.state == .succeeded && $0.summary?["isWhole"] != false
                    case .compared:
                        [.succeeded, .partial].contains($0.state) && $0.summary?["counts"]?["missingProducts"] != nil
                    }
                }
            }
        }
    }

    func active() async throws -> [RunRecord] {
        state.withLock { $0.records.values.filter { !$0.state.isFinal } }
    }

    func timeline(from: Date, to: Date, stretchSeconds: Int, job: JobName?) async throws -> [TimelineSpan] {
        state.withLock { state in
            state.records.values.filter { job == nil || $0.job == job }.map { record in
                TimelineSpan(
                    job: record.job,
                    began: record.queuedAt,
                    ended: record.finishedAt ?? to,
                    runs: 1,
                    dryRuns: record.dryRun ? 1 : 0,
                    states: [record.state: 1],
                    run: record.id,
                    seconds: 2.5,
                    longestSeconds: 2.5,
                    rows: 1000,
                    counts: record.summary?["counts"]
                )
            }
        }
    }

    func changes(after instant: Date) async throws -> [RunRecord] {
        try state.withLock { state in
            state.questions += 1
            if state.silences > 0 {
                state.silences -= 1
                throw TallyError(.targetUnreachable, during: "test", "the ledger is away")
            }
            return state.records.values.filter { ($0.heartbeatAt ?? $0.queuedAt) > instant }
                .sorted { ($0.heartbeatAt ?? $0.queuedAt) < ($1.heartbeatAt ?? $1.queuedAt) }
        }
    }

    func now() async throws -> Date { state.withLock { $0.now } }

    func reserve(_ claim: IdempotencyClaim, run: RunID) async throws -> IdempotencyKeys.Reservation {
        state.withLock { state in
            guard let known = state.claims[claim.key] else {
                state.claims[claim.key] = (claim, state.next?.id ?? run)
                return .new
            }
            return known.0 == claim ? .known(known.1) : .mismatch
        }
    }

    func release(_ claim: IdempotencyClaim, run: RunID) async throws {
        state.withLock { _ = $0.claims.removeValue(forKey: claim.key) }
    }
}

final class FakeScheduler: SchedulerPort {
    let enabled = Mutex(true)
    let paused = Mutex(false)
    let leader = Mutex<String?>("here")

    func status() async throws -> SchedulerStatus {
        let schedule = ScheduleStatus(
            definition: ScheduleDefinition(
                job: "product_sync",
                expression: try CronExpression("*/30 * * * *"),
                timeZone: .gmt
            ),
            nextFires: [Date(timeIntervalSince1970: 1_768_473_000)],
            lastFire: nil,
            switched: paused.withLock { $0 }
                ? SwitchRecord(isOn: false, changedBy: "ada", changedAt: Date(timeIntervalSince1970: 0)) : nil
        )
        return SchedulerStatus(
            enabled: enabled.withLock { $0 },
            isLeader: leader.withLock { $0 } == "here",
            leader: leader.withLock { $0 },
            schedules: [schedule]
        )
    }

    func start(by: String) async throws { enabled.withLock { $0 = true } }
    func stop(by: String) async throws { enabled.withLock { $0 = false } }

    func pause(_ job: JobName, by: String) async throws {
        try known(job)
        paused.withLock { $0 = true }
    }

    func resume(_ job: JobName, by: String) async throws {
        try known(job)
        paused.withLock { $0 = false }
    }

    func options(of job: JobName) async throws -> RunOptions {
        try known(job)
        return RunOptions(batchSize: 7)
    }

    private func known(_ job: JobName) throws {
        guard job == "product_sync" else { throw TallyError(.notFound, during: "test", "no schedule") }
    }
}

final class FakeWatermarks: WatermarksPort {
    let stored = Mutex<[WatermarkKey: Watermark]>([:])

    func list(source: String?, scopes: Int) async throws -> WatermarkList {
        let marks = stored.withLock { stored in
            stored.filter { source == nil || $0.key.source == source }.map { Self.mark($0, $1) }
        }
        return WatermarkList(marks: Array(marks.prefix(scopes)), isCut: marks.count > scopes)
    }

    func find(_ key: WatermarkKey, in database: String) async throws -> OperatorWatermark? {
        stored.withLock { $0[key].map { Self.mark(key, $0) } }
    }

    private static func mark(_ key: WatermarkKey, _ watermark: Watermark) -> OperatorWatermark {
        OperatorWatermark(
            database: "cart",
            stored: StoredWatermark(key: key, watermark: watermark, updatedAt: Date(timeIntervalSince1970: 0))
        )
    }

    func set(_ key: WatermarkKey, to watermark: Watermark, in database: String) async throws {
        guard database == "cart" else { throw TallyError(.notFound, during: "test", "no such database") }
        stored.withLock { $0[key] = watermark }
    }

    func delete(_ key: WatermarkKey, in database: String) async throws -> Bool {
        stored.withLock { $0.removeValue(forKey: key) != nil }
    }
}

struct FakeDeadLetters: DeadLettersPort {
    func openCounts() async throws -> [JobName: Int] { ["product_sync": 3] }
    func list(job: JobName?, limit: Int, before: String?) async throws -> [JSONValue] {
        [
            [
                "id": "1", "job": "product_sync", "key": "k", "kind": "record-malformed", "reason": "too long",
                "columns": ["title"], "occurrences": 2, "firstSeenAt": "2026-01-15T10:30:00.000Z",
                "lastSeenAt": "2026-01-15T10:30:00.000Z", "runId": .string(Fixture.id.description),
            ]
        ]
    }

    func retry(id: String?, job: JobName?, by: String) async throws -> Int { id == nil || id == "1" ? 1 : 0 }
    func discard(id: String, by: String) async throws -> Bool { id == "1" }
}
