import Engine
import Foundation
import Logging
import Postgres
import Runtime
import Telemetry

/// What one pipeline of one account came to.
struct PullResult: Sendable {
    var records = 0
    var changed: [String: Int] = [:]
    var refused = 0
    var pages = 0
    var marked = 0
    var isPaused = false
    var until: Date

    var json: JSONValue {
        [
            "records": .int(records), "changed": .object(changed.mapValues { .int($0) }), "refused": .int(refused),
            "pages": .int(pages), "marked": .int(marked), "paused": .bool(isPaused),
            "until": .string(WireTime.text(until)),
        ]
    }
}

/// Reads one pipeline of one account from its watermark to a bound frozen at the start.
///
/// A page's rows and the position behind it commit together (INV-1). The position becomes the window's upper bound
/// with its last page, never the newest row seen.
struct Puller {
    let context: RunContext
    let source: any MarketplaceSource
    let store: MarketplaceStore
    let target: PGPool
    let now: Date

    var scope: SourceScope { source.scope }

    func key(_ table: String) -> WatermarkKey {
        WatermarkKey(source: scope.source, table: table, accountID: scope.accountID, scope: scope.scope)
    }

    func pull(_ pipeline: Pipeline, since: Date?, until: Date?) async throws -> PullResult {
        let plan = source.plan(pipeline)
        let stored = try await target.withConnection { try await Watermarks.read(key(pipeline.rawValue), on: $0) }
        var state = PullState(pipeline: pipeline, plan: plan, stored: stored, result: PullResult(until: bound(until)))
        context.progress.stage("\(scope.source) \(pipeline.rawValue)")
        do {
            try await readNotices(&state)
            do {
                try await readCut(&state, since: since)
            } catch is ClockAhead {
                // Our clock was set back meanwhile: the window is read again from its beginning, with another end.
            }
            let isFirst = stored == nil && since == nil && plan.firstLookback == nil && context.options.full != true
            try await read(&state, since: since, until: until)
            if plan.sweeps, !isFirst { try await sweep(&state, state.result.until) }
        } catch is PullPaused {
            state.result.isPaused = true
        }
        return state.result
    }

    // MARK: Where to begin

    /// Ends the window that an earlier run was cut in, unless its token is too old or the caller wants another start.
    private func readCut(_ state: inout PullState, since: Date?) async throws {
        guard since == nil, context.options.full != true, let good = state.plan.resumableFor,
            let cut = PullPosition(state.stored).cut,
            now.timeIntervalSince(cut.began) < good.inSeconds
        else { return }
        try await read(PullWindow(since: cut.since, until: cut.until), from: cut, &state, isMoving: true)
        // A deep reading that took several runs was one all the same.
        try await noteDeepReads(state, from: cut.since, to: cut.until)
    }

    func start(_ state: PullState, _ end: Date) async throws -> Date? {
        let first = state.plan.firstLookback.map { end.addingTimeInterval(-$0.inSeconds) }
        guard context.options.full != true, let instant = PullPosition(state.stored).instant else { return first }
        var back = state.plan.overlap
        for deep in state.plan.deepReads where deep.depth > back {
            let last = try await target.withConnection { try await Watermarks.read(key(deep.name), on: $0) }
            if last?.instant.map({ end.timeIntervalSince($0) >= deep.every.inSeconds }) ?? true { back = deep.depth }
        }
        let begin = instant.addingTimeInterval(-back.inSeconds)
        return first.map { max($0, begin) } ?? begin
    }

    func windows(from begin: Date?, to end: Date, _ plan: PipelinePlan) -> [PullWindow] {
        guard let begin, let length = plan.windowMax?.inSeconds else {
            return begin.map { $0 < end } ?? true ? [PullWindow(since: begin, until: end)] : []
        }
        var windows: [PullWindow] = []
        var at = begin
        while at < end {
            let next = min(end, at.addingTimeInterval(length))
            windows.append(PullWindow(since: at, until: next))
            at = next
        }
        return windows
    }

    // MARK: Reading

    func read(_ windows: [PullWindow], _ state: inout PullState, moves since: Date?) async throws {
        for window in windows {
            let position = PullPosition(state.stored).instant
            // A chosen start beyond the position would leave a gap behind a position that moved.
            let hasGap = since != nil && (position == nil || since.map { $0 > position ?? $0 } ?? false)
            let goesBack = position.map { window.until <= $0 } ?? false
            try await read(window, from: nil, &state, isMoving: !hasGap && !goesBack)
        }
        guard let first = windows.first, let last = windows.last else { return }
        try await noteDeepReads(state, from: first.since, to: last.until)
    }

    private func noteDeepReads(_ state: PullState, from begin: Date?, to end: Date) async throws {
        guard !context.options.dryRun else { return }
        for deep in state.plan.deepReads
        where end.timeIntervalSince(begin ?? .distantPast) >= deep.depth.inSeconds {
            try await target.withConnection { connection in
                try await context.write(on: connection, durable: true) { connection in
                    try await Watermarks.set(key(deep.name), to: Watermark(instant: end), on: connection)
                }
            }
        }
    }

    private func read(
        _ window: PullWindow,
        from cut: PullPosition.Cut?,
        _ state: inout PullState,
        isMoving: Bool
    ) async throws {
        var cursor = cut?.cursor
        var isFirstTry = true
        let began = cut?.began ?? now
        while true {
            let page: SourcePage
            do {
                let asked = cursor
                page = try await context.retrying("marketplace.fetch") {
                    try await source.page(state.pipeline, window, cursor: asked)
                }
            } catch is PageTokenExpired where isFirstTry && cursor != nil {
                isFirstTry = false
                cursor = nil
                continue
            } catch is PageTokenExpired {
                throw TallyError(
                    .protocolViolation,
                    during: "marketplace.page",
                    "the vendor refuses its own page token twice"
                )
            } catch  where cursor == nil && isTooYoung(window) {
                // Amazon refuses a bound that its own clock has not come to.
                throw ClockAhead()
            }
            guard cursor != nil || !isTooYoung(window) else { throw ClockAhead() }
            guard page.next == nil || page.next != cursor else {
                throw TallyError(.protocolViolation, during: "marketplace.page", "the vendor repeats a page token")
            }
            let next = page.next.map {
                PullPosition.Cut(since: window.since, until: window.until, cursor: $0, began: began)
            }
            try await settle(page, next, window, &state, isMoving: isMoving)
            guard let following = page.next else { return }
            cursor = following
        }
    }

    private func settle(
        _ page: SourcePage,
        _ cut: PullPosition.Cut?,
        _ window: PullWindow,
        _ state: inout PullState,
        isMoving: Bool
    ) async throws {
        let (plan, stored, rows) = (state.plan, state.stored, page.rows)
        let table = state.pipeline.rawValue
        context.progress.add(read: rows.records)
        var next: Watermark?
        if isMoving {
            if cut == nil {
                next = PullPosition.watermark(at: window.until, cut: nil)
            } else if plan.resumableFor != nil {
                next = PullPosition.watermark(at: stored?.instant, cut: cut)
            }
        }
        let moved = next
        let changes = try await target.withConnection { connection -> MarketplaceStore.Changes in
            if context.options.dryRun {
                return try await connection.withTransaction(readOnly: true) { connection in
                    try await store.write(rows, plan.documents, compareOnly: true, in: connection)
                }
            }
            return try await context.retrying("marketplace.write") {
                try await context.write(on: connection, durable: cut == nil) { connection in
                    let changes = try await store.write(rows, plan.documents, compareOnly: false, in: connection)
                    try await settleLetters(rows, table, connection)
                    if let moved {
                        try await Watermarks.advance(key(table), from: stored, to: moved, in: connection)
                    }
                    return changes
                }
            }
        }
        if !context.options.dryRun, let moved { state.stored = moved }
        state.take(rows, changes)
        context.progress.add(written: context.options.dryRun ? 0 : changes.values.reduce(0, +))
        if !context.options.dryRun { MarketplaceMetric.rows(source: scope.source, changes) }
        try await context.failpoint.reach("marketplace.page")
    }
}

/// What a pull carries from page to page.
struct PullState {
    let pipeline: Pipeline
    let plan: PipelinePlan
    /// The watermark as this run last read or wrote it.
    var stored: Watermark?
    var result: PullResult
    /// A webhook said that something was deleted.
    var isSweepAsked = false

    mutating func take(_ rows: MappedRows, _ changes: MarketplaceStore.Changes) {
        result.pages += 1
        result.records += rows.records
        result.refused += rows.refused.count
        result.changed.merge(changes, uniquingKeysWith: +)
    }
}
