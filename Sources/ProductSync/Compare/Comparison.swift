package import Engine
import Mongo
import Postgres
import Runtime

/// Walks both sides once and hands what it finds to `deliver`, in stretches of bounded size.
///
/// Where both sides prove to sort alike, two streams are merged; where they cannot, each page's keys are looked up on
/// the other side, both ways.
package struct Comparison: Sendable {
    let source: SourceReader
    let target: TargetReader
    let keyed: KeyedComparison
    let plan: ColumnPlan
    let context: RunContext
    let collectsUnchangedKeys: Bool
    let range: SyncRange

    /// Rows read on each side.
    package struct Totals: Sendable, Equatable {
        package var source = 0
        package var target = 0
        package var unkeyable: [SourcePage.Unkeyable] = []
        package var mergedStreams = true
    }

    /// Findings travel on when they hold this many bytes, or fewer when nobody has anything to do.
    static let findingsBytesMax = 1 << 19
    static let findingsBytesMin = 3 << 17

    package init(
        source: SourceReader,
        target: TargetReader,
        plan: ColumnPlan,
        context: RunContext,
        collectsUnchangedKeys: Bool,
        range: SyncRange = .everything
    ) {
        self.source = source
        self.target = target
        self.plan = plan
        self.context = context
        self.collectsUnchangedKeys = collectsUnchangedKeys
        self.range = range
        keyed = KeyedComparison(source: source, target: target, plan: plan)
    }

    /// `isAwaited`: whether whoever settles findings waits for some.
    package func run(
        isAwaited: @Sendable () -> Bool,
        _ deliver: @Sendable (Findings) async throws -> Void
    ) async throws -> Totals {
        let brackets = try await source.brackets()
        if brackets.count <= 1, range.canMerge(brackets) {
            if let order = brackets.first.map({ plan.key.order(with: $0) }) ?? plan.key.order {
                return try await merge(brackets, order, isAwaited, deliver)
            }
        }
        return try await lookUp(brackets, deliver)
    }

    /// Looks at these keys alone, on both sides. The totals stay empty.
    package func run(keys: [[UInt8]], _ deliver: @Sendable (Findings) async throws -> Void) async throws -> Totals {
        for start in stride(from: 0, to: keys.count, by: KeyedComparison.keysMax) {
            let part = keys[start..<min(keys.count, start + KeyedComparison.keysMax)]
            var findings = try await keyed.again(Array(part))
            findings.mayBeOutrun = true
            try await deliver(findings)
        }
        return Totals()
    }

    // MARK: Merge

    private func merge(
        _ brackets: [IDBracket],
        _ order: SyncKey.Order,
        _ isAwaited: @Sendable () -> Bool,
        _ deliver: @Sendable (Findings) async throws -> Void
    ) async throws -> Totals {
        let pages = BoundedChannel<SourcePage>(capacity: 2)
        let chunks = BoundedChannel<TargetChunk>(capacity: 2)
        let source = source
        let target = target
        return try await withThrowingTaskGroup(of: Void.self) { group in
            group.addTask {
                try await Self.feeding(chunks) { try await target.stream { try await chunks.send($0) } }
            }
            defer { group.cancelAll() }
            // The documents are read behind the target's snapshot: none is older than the row it is compared with.
            let first = try await chunks.receive()
            group.addTask {
                try await Self.feeding(pages) { try await source.readPages(brackets) { try await pages.send($0) } }
            }
            let totals = try await mergeLoop(pages, first, chunks, order, isAwaited, deliver)
            try await group.waitForAll()
            return totals
        }
    }

    /// Ends the channel however the reading ends, so that the merge never waits for a reader that is gone.
    private static func feeding<Element>(
        _ channel: BoundedChannel<Element>,
        _ read: () async throws -> Void
    ) async throws {
        do {
            try await read()
            channel.finish()
        } catch {
            channel.finish(throwing: error)
            throw error
        }
    }

    private func mergeLoop(
        _ pages: BoundedChannel<SourcePage>,
        _ first: TargetChunk?,
        _ chunks: BoundedChannel<TargetChunk>,
        _ order: SyncKey.Order,
        _ isAwaited: @Sendable () -> Bool,
        _ deliver: @Sendable (Findings) async throws -> Void
    ) async throws -> Totals {
        var step = MergeStep(plan: plan, order: order, collectsUnchangedKeys: collectsUnchangedKeys)
        var totals = Totals()
        var findings = Findings()
        var page = try await pages.receive()
        try note(page, &totals)
        var chunk = first
        totals.target += chunk?.rows.rowStarts.count ?? 0
        var row = 0
        var chunkRow = 0
        while page != nil || chunk != nil {
            let before = row + chunkRow
            if let chunk, let page, !page.isBehind(chunk) { findings.mayBeOutrun = true }
            try step.run(source: page, sourceRow: &row, target: chunk?.rows, targetRow: &chunkRow, into: &findings)
            context.progress.add(compared: row + chunkRow - before)
            if findings.bytes >= Self.findingsBytesMax || (findings.bytes >= Self.findingsBytesMin && isAwaited()) {
                try await deliver(findings)
                findings = Findings()
            }
            if let current = page, row >= current.rows.count {
                page = try await pages.receive()
                row = 0
                try note(page, &totals)
            }
            if let current = chunk, chunkRow >= current.rows.rowStarts.count {
                chunk = try await chunks.receive()
                chunkRow = 0
                totals.target += chunk?.rows.rowStarts.count ?? 0
            }
        }
        if !findings.isEmpty { try await deliver(findings) }
        return totals
    }

    /// Documents that have no key are kept until the end of the pass, so more of them than a run may have end it here.
    private func note(_ page: SourcePage?, _ totals: inout Totals) throws {
        guard let page else { return }
        totals.source += page.documents
        if !page.unkeyable.isEmpty {
            totals.unkeyable += page.unkeyable
            try context.deadLetters.admit(page.unkeyable.map(\.identifier))
            guard totals.unkeyable.count <= DeadLetterSink.runMax else { throw DeadLetterSink.tooMany }
        }
        context.progress.add(read: page.documents)
    }

    // MARK: Lookup

    private func lookUp(
        _ brackets: [IDBracket],
        _ deliver: @Sendable (Findings) async throws -> Void
    ) async throws -> Totals {
        var totals = Totals()
        totals.mergedStreams = false
        // The rows first: what is added for missing documents afterwards is none that was found.
        let chunks = BoundedChannel<TargetChunk>(capacity: 2)
        let target = target
        totals.target = try await withThrowingTaskGroup(of: Void.self) { group in
            group.addTask { try await Self.feeding(chunks) { try await target.stream { try await chunks.send($0) } } }
            defer { group.cancelAll() }
            var rows = 0
            while let chunk = try await chunks.receive() {
                rows += chunk.rows.rowStarts.count
                try await deliver(try await orphans(of: chunk.rows))
            }
            try await group.waitForAll()
            return rows
        }
        try await source.readPages(brackets, keepsIDs: true) { read in
            let page = try await keyed.withoutRepeated(read)
            try note(page, &totals)
            let findings = try await keyed.page(page)
            context.progress.add(compared: page.rows.count)
            try await deliver(findings)
        }
        return totals
    }

    private func orphans(of chunk: PGCopyChunk) async throws -> Findings {
        let keys = chunk.rowStarts.filter { RowImage.hasKey(chunk.bytes.span, at: Int($0)) }.map { start in
            Array(chunk.bytes[RowImage.key(chunk.bytes.span, at: Int(start))])
        }
        let absent = try await keyed.absent(keys)
        var findings = Findings()
        findings.keyless = chunk.rowStarts.count - keys.count
        // Rows without a key come behind all others.
        for (row, key) in keys.enumerated() where absent.contains(key) {
            findings.orphaned.append(chunk.bytes.span, chunk.range(row))
        }
        context.progress.add(compared: chunk.rowStarts.count)
        return findings
    }
}
