import Postgres
import ProductSync
import Runtime
import Testing

/// The merge against a model that knows nothing of streams: two dictionaries.
@Suite struct MergeModelTests {
    struct Random: RandomNumberGenerator {
        var state: UInt64
        mutating func next() -> UInt64 {
            state &+= 0x9E37_79B9_7F4A_7C15
            var mixed = state
            mixed = (mixed ^ (mixed >> 30)) &* 0xBF58_476D_1CE4_E5B9
            mixed = (mixed ^ (mixed >> 27)) &* 0x94D0_49BB_1331_11EB
            return mixed ^ (mixed >> 31)
        }
    }

    @Test(arguments: 0..<200)
    func agreesWithTwoDictionaries(seed: Int) throws {
        var random = Random(state: UInt64(seed))
        let plan = try SamplePlan.make()
        var source: [String: Int32?] = [:]
        var target: [String: Int32?] = [:]
        for _ in 0..<Int.random(in: 0...60, using: &random) {
            let key = SamplePlan.key(Int.random(in: 0..<80, using: &random))
            if Bool.random(using: &random) { source[key] = .some(value(&random)) }
            if Bool.random(using: &random) { target[key] = .some(value(&random)) }
        }
        for _ in 0..<Int.random(in: 0...3, using: &random) {
            target["FOREIGN-\(Int.random(in: 0..<9, using: &random))"] = .some(value(&random))
        }
        let found = try merge(source, target, plan, &random)
        let missing = Set(source.keys.filter { target[$0] == nil })
        let orphaned = Set(target.keys.filter { source[$0] == nil })
        let stale = Set(source.keys.filter { key in target[key].map { $0 != source[key] } ?? false })
        #expect(keys(found.missing, plan) == missing, "seed \(seed)")
        #expect(keys(found.orphaned, plan) == orphaned, "seed \(seed)")
        #expect(keys(found.staleSource, plan) == stale, "seed \(seed)")
        #expect(keys(found.staleTarget, plan) == stale, "seed \(seed)")
        #expect(found.unchanged == source.count - missing.count - stale.count, "seed \(seed)")
    }

    @Test func targetKeysThatDoNotAscendAreRefused() throws {
        let plan = try SamplePlan.make()
        let rows = [SamplePlan.image(SamplePlan.key(2), 1), SamplePlan.image(SamplePlan.key(1), 1)]
        var step = MergeStep(plan: plan, order: .bytes(.objectIDHex))
        var findings = Findings()
        var row = 0
        var chunkRow = 0
        #expect(throws: (any Error).self) {
            try step.run(
                source: nil,
                sourceRow: &row,
                target: SamplePlan.chunk(rows),
                targetRow: &chunkRow,
                into: &findings
            )
        }
    }

    /// Rows that seem missing since the source's order is not ours, such as a collection's own collation, end the run.
    @Test(arguments: [[2, 1], [1, 3, 2], [2, 3, 1]], [[], [1], [2], [1, 2], [3], [1, 2, 3, 4]])
    func sourceKeysThatDoNotAscendHideNoRow(source: [Int], target: [Int]) throws {
        let plan = try SamplePlan.make()
        func image(_ number: Int) -> [UInt8] { SamplePlan.image(SamplePlan.key(number), 1) }
        let there = Set(target.map { SamplePlan.key($0) })
        for pageRows in 1...3 {
            var pages: [[[UInt8]]] = stride(from: 0, to: source.count, by: pageRows).map { start in
                source[start..<min(start + pageRows, source.count)].map(image)
            }
            var chunks = target.isEmpty ? [] : [target.map(image)]
            do {
                let findings = try merge(&pages, &chunks, plan)
                #expect(keys(findings.missing, plan).isDisjoint(with: there), "called missing and there")
            } catch let error as TallyError {
                #expect(error.kind == .protocolViolation)
            }
        }
    }

    /// NULL comes behind all others, in any number, and is no key.
    @Test(
        arguments: [SyncKey.Order.bytes(.all), .bytes(.objectIDHex), .bytes(.uuidText), .signedInteger],
        [true, false]
    )
    func rowsWithoutAKeyAreOrphans(order: SyncKey.Order, endsTogether: Bool) throws {
        let plan = try SamplePlan.make()
        let null: [UInt8] = [0, 2, 255, 255, 255, 255, 0, 0, 0, 4, 0, 0, 0, 1]
        let keys = order == .bytes(.uuidText) ? [Self.uuid] : [SamplePlan.key(1)]
        let rows = keys.map { SamplePlan.image($0, 1) }
        var step = MergeStep(plan: plan, order: order)
        var findings = Findings()
        var row = 0
        var chunkRow = 0
        let chunk = SamplePlan.chunk(rows + [null, null])
        let page = SamplePlan.page(rows)
        try step.run(source: page, sourceRow: &row, target: chunk, targetRow: &chunkRow, into: &findings)
        if !endsTogether {
            try step.run(source: nil, sourceRow: &row, target: chunk, targetRow: &chunkRow, into: &findings)
        }
        let more = SamplePlan.chunk([null])
        chunkRow = 0
        try step.run(source: nil, sourceRow: &row, target: more, targetRow: &chunkRow, into: &findings)
        #expect(findings.unchanged == 1)
        #expect(findings.keyless == 3)
        #expect(TargetReader.lastKey(of: chunk) == Array(keys[0].utf8), "a stream goes on behind a key")
        #expect(TargetReader.lastKey(of: more) == nil)
    }

    private static let uuid = "01112131-4151-6171-8191-a1b1c1d1e1f1"

    /// INV-8: what cannot become a row is held too, so it counts towards what may be held.
    @Test func refusedDocumentsAndKeptKeysCountAsHeld() throws {
        let plan = try SamplePlan.make()
        let rows = (0..<100).map { SamplePlan.image(SamplePlan.key($0), 1) }
        var page = SamplePlan.page(rows)
        for row in 0..<50 { page.rejections[row] = FieldRejection(.tooLong, column: 1) }
        var step = MergeStep(plan: plan, order: .bytes(.objectIDHex), collectsUnchangedKeys: true)
        var findings = Findings()
        var row = 0
        var chunkRow = 0
        let chunk = SamplePlan.chunk(rows)
        try step.run(source: page, sourceRow: &row, target: chunk, targetRow: &chunkRow, into: &findings)
        #expect(findings.rejected.count == 50)
        #expect(findings.unchangedKeys.count == 50)
        #expect(findings.bytes >= 50 * (24 + 40) + 50 * 64)
    }

    private func value(_ random: inout Random) -> Int32? {
        Int.random(in: 0..<5, using: &random) == 0 ? nil : Int32.random(in: 0..<3, using: &random)
    }

    private func keys(_ rows: RowBatch, _ plan: ColumnPlan) -> Set<String> {
        Set((0..<rows.count).map { plan.key.text(rows.key($0)) })
    }

    /// Foreign keys go wherever chance puts them, as a collation that is not ours would.
    private func merge(
        _ source: [String: Int32?],
        _ target: [String: Int32?],
        _ plan: ColumnPlan,
        _ random: inout Random
    ) throws -> Findings {
        var pages = cut(source.sorted { $0.key < $1.key }.map { SamplePlan.image($0.key, $0.value) }, &random)
        var targetRows = target.filter { !$0.key.hasPrefix("F") }.sorted { $0.key < $1.key }
        for foreign in target where foreign.key.hasPrefix("F") {
            targetRows.insert(foreign, at: Int.random(in: 0...targetRows.count, using: &random))
        }
        var chunks = cut(targetRows.map { SamplePlan.image($0.key, $0.value) }, &random)
        return try merge(&pages, &chunks, plan)
    }

    private func merge(
        _ pages: inout [[[UInt8]]],
        _ chunks: inout [[[UInt8]]],
        _ plan: ColumnPlan
    ) throws -> Findings {
        var step = MergeStep(plan: plan, order: .bytes(.objectIDHex))
        var findings = Findings()
        var page = next(&pages).map(SamplePlan.page)
        var chunk = next(&chunks).map(SamplePlan.chunk)
        var row = 0
        var chunkRow = 0
        while page != nil || chunk != nil {
            try step.run(source: page, sourceRow: &row, target: chunk, targetRow: &chunkRow, into: &findings)
            if let current = page, row >= current.rows.count {
                page = next(&pages).map(SamplePlan.page)
                row = 0
            }
            if let current = chunk, chunkRow >= current.rowStarts.count {
                chunk = next(&chunks).map(SamplePlan.chunk)
                chunkRow = 0
            }
        }
        return findings
    }

    private func next(_ list: inout [[[UInt8]]]) -> [[UInt8]]? {
        list.isEmpty ? nil : list.removeFirst()
    }

    private func cut(_ rows: [[UInt8]], _ random: inout Random) -> [[[UInt8]]] {
        var pieces: [[[UInt8]]] = []
        var rest = rows[...]
        while !rest.isEmpty {
            let count = Int.random(in: 1...7, using: &random)
            pieces.append(Array(rest.prefix(count)))
            rest = rest.dropFirst(count)
        }
        return pieces
    }
}
