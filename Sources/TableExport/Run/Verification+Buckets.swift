import Engine
import Postgres

/// The compare of tables whose keys have no order that an index of both servers shares, such as text.
///
/// Rows fall into buckets by a digest of their key, and one pass over each side gives the checksums of all of them:
/// the work grows with the table and not with its square.
extension Verification {
    private static let bucketCount = 16_384
    /// Rows of differing buckets that are compared one by one at a time.
    private static let bucketRowsMax = 50_000

    func compareBuckets(_ source: Side, _ target: Side) async throws -> Result {
        var result = Result(ranges: 1)
        let left = try await buckets(source)
        let right = try await buckets(target)
        progress.add(compared: left.values.map(\.rows).reduce(0, +))
        var chosen: [Int] = []
        var rows = 0
        for bucket in Set(left.keys).union(right.keys).sorted() where left[bucket] != right[bucket] {
            let more = max(left[bucket]?.rows ?? 0, right[bucket]?.rows ?? 0)
            if rows + more > Self.bucketRowsMax, !chosen.isEmpty {
                try await compareRows(source, target, in: chosen, &result)
                chosen = []
                rows = 0
            }
            chosen.append(bucket)
            rows += more
        }
        if !chosen.isEmpty { try await compareRows(source, target, in: chosen, &result) }
        return result
    }

    private func compareRows(
        _ source: Side,
        _ target: Side,
        in buckets: [Int],
        _ result: inout Result
    ) async throws {
        result.ranges += 1
        func condition(_ side: Side) -> String {
            let list = buckets.map(String.init).joined(separator: ",")
            return "\(side.condition) AND \(bucket(side)) = ANY ('{\(list)}'::int[])"
        }
        try await compareRows(source, target, where: (condition(source), condition(target)), &result)
    }

    private func bucket(_ side: Side) -> String {
        "(('x' || left(md5(\(side.keyText)), 8))::bit(32)::bigint % \(Self.bucketCount))"
    }

    private func buckets(_ side: Side) async throws -> [Int: Checksum] {
        let rows = try await side.connection.query(
            """
            SELECT b, count(*), \(Self.sum)
            FROM (SELECT \(bucket(side)) AS b, \(side.row) AS h FROM \(side.rows(where: side.condition))) q GROUP BY b
            """
        ).rows
        var buckets: [Int: Checksum] = [:]
        for row in rows {
            buckets[try row[0].int()] = Checksum(rows: try row[1].int(), sum: try row[2].string())
        }
        return buckets
    }
}
