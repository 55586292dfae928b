import Engine
import Postgres
import Runtime
import TableExport
import TestKit
import Testing

/// Cursors that are numbers: how far back a transaction reaches that others overtake.
@Suite(.serialized) struct NumberCursorTests {
    static let source = "CREATE TABLE t (id int8 PRIMARY KEY, name text)"
    static let target = "CREATE TABLE analytics_raw.t (id int8 PRIMARY KEY, name text)"
    static let yaml = """
        exports:
          - key: T
            source: {table: t, cursor: {field: id, idField: id}}
            destination: {table: t, conflictColumns: [id]}
        """

    static func insert(_ from: Int, _ to: Int) -> String {
        "INSERT INTO t SELECT i, 'n' || i FROM generate_series(\(from), \(to)) i"
    }

    /// Numbers are drawn in one order and committed in another, and more than `lookback` of them lie between.
    @Test(arguments: [false, true])
    func aLongTransactionOfNumbersIsNotOvertaken(isFirst: Bool) async throws {
        let rig = try await ExportRig(source: Self.source, target: Self.target)
        let job = try rig.job(Self.yaml, lookback: .count(5))
        if !isFirst {
            for id in 1...3 {
                try rig.inSource(Self.insert(id, id))
                try await rig.run(job)
            }
        }
        let start = isFirst ? 1 : 4
        try await rig.source.withConnection { long in
            try await long.execute("BEGIN; \(Self.insert(start, start + 99))")
            for overtaking in 200...203 {
                try rig.inSource(Self.insert(overtaking, overtaking))
                try await rig.run(job)
            }
            try await long.execute("COMMIT")
        }
        try await rig.run(job)
        #expect(try rig.inTarget("SELECT count(*) FROM analytics_raw.t") == "\(start + 103)\n")
        await rig.close()
    }

    /// The numbers of a server that was restored go on from an earlier one, which may lie far behind the position.
    @Test func numbersOfARestoredServerAreNotLost() async throws {
        let rig = try await ExportRig(source: Self.source, target: Self.target)
        let job = try rig.job(Self.yaml, lookback: .count(5))
        try rig.inSource(Self.insert(1, 500))
        try await rig.run(job)
        try await rig.run(job)
        // As if what came after the 100th row had been lost, and the server had got another timeline.
        try rig.inSource("DELETE FROM t WHERE id > 100; \(Self.insert(101, 150).replacing("'n'", with: "'new '"))")
        try rig.inTarget("UPDATE etl.watermarks SET snapshot = replace(snapshot, 'timeline=0', 'timeline=F')")
        for next in [160, 170, 180] {
            try await rig.run(job)
            try rig.inSource(Self.insert(next, next).replacing("'n'", with: "'new '"))
        }
        try await rig.run(job)
        #expect(try rig.inTarget("SELECT count(*) FROM analytics_raw.t WHERE name LIKE 'new %'") == "53\n")
        await rig.close()
    }
}
