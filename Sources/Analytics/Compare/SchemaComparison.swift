import Crypto
import Engine
import Postgres
import Runtime

/// Compares one measure of one day between the two schemas of the source.
///
/// Rows fall into buckets by their key. The digests of all buckets are compared first; rows are held only of buckets
/// that differ, and of no more buckets than hold about `rowsMax` rows.
struct SchemaComparison: Sendable {
    static let buckets = 1_024
    static let rowsMax = 20_000

    let measure: Measure
    let day: CalendarDay
    let settings: AnalyticsSettings
    let catalog: SourceCatalog
    let progress: Progress

    private struct Side: Sendable {
        var digests = [RowDigest](repeating: RowDigest(), count: SchemaComparison.buckets)
        var rows: [[String]: [String?]] = [:]
        var count: Int { digests.reduce(0) { $0 + $1.count } }
    }

    func carryOut(on source: PGConnection, into report: inout DifferenceList) async throws {
        var (v1, v2) = (Side(), Side())
        try await read(.v1, keeping: [], into: &v1, on: source)
        try await read(.v2, keeping: [], into: &v2, on: source)
        report.rowsV1 += v1.count
        report.rowsV2 += v2.count
        var kept: Set<Int> = []
        var rows = 0
        for bucket in 0..<Self.buckets where v1.digests[bucket] != v2.digests[bucket] {
            let size = max(v1.digests[bucket].count, v2.digests[bucket].count)
            guard kept.isEmpty || rows + size <= Self.rowsMax else {
                report.isCut = true
                break
            }
            rows += size
            kept.insert(bucket)
        }
        guard !kept.isEmpty else { return }
        try await read(.v1, keeping: kept, into: &v1, on: source)
        try await read(.v2, keeping: kept, into: &v2, on: source)
        list(v1, v2, into: &report)
    }

    private func read(
        _ schema: SourceSchema,
        keeping kept: Set<Int>,
        into side: inout Side,
        on source: PGConnection
    ) async throws {
        let parameters = WindowParameters(
            day,
            zone: settings.zone,
            churnDays: settings.churnDays,
            present: catalog.present(measure, schema)
        )
        let columns = measure.columns.map { "q.\($0)::text" }.joined(separator: ", ")
        let tokeniser = Tokeniser(settings.key)
        let silence = Silence(progress)
        defer { silence.end() }
        try await source.stream(
            "SELECT \(columns) FROM (\n\(measure.sql(schema, legacy: false))\n) AS q",
            parameters.values
        ) { rows in
            silence.end()
            for row in rows {
                let cells = measure.columns.indices.map { column -> [UInt8]? in
                    guard let value = row[column].bytes, measure.tokenColumns.contains(column) else {
                        return row[column].bytes
                    }
                    return tokeniser.token(of: value, in: schema)
                }
                take(cells, keeping: kept, into: &side)
            }
            progress.touch()
        }
    }

    private func take(_ cells: [[UInt8]?], keeping kept: Set<Int>, into side: inout Side) {
        var whole: [UInt8] = []
        var keyLength = 0
        for (column, cell) in cells.enumerated() {
            // Length and a mark for NULL, so that no two rows look alike.
            whole += cell.map { Array("\($0.count):".utf8) + $0 } ?? Array("-:".utf8)
            if column < measure.keyWidth { keyLength = whole.count }
        }
        let hash = Array(SHA256.hash(data: whole[..<keyLength]).prefix(2))
        let bucket = (Int(hash[0]) << 8 | Int(hash[1])) % Self.buckets
        if kept.isEmpty {
            side.digests[bucket].add(whole[...])
        } else if kept.contains(bucket) {
            let texts = cells.map { cell in cell.map { String(decoding: $0, as: UTF8.self) } }
            side.rows[texts[..<measure.keyWidth].map { $0 ?? "" }] = texts
        }
    }

    private func list(_ v1: Side, _ v2: Side, into report: inout DifferenceList) {
        for key in Set(v1.rows.keys).union(v2.rows.keys).sorted(by: { $0.lexicographicallyPrecedes($1) }) {
            let (left, right) = (v1.rows[key], v2.rows[key])
            guard let left, let right else {
                report.add(
                    .init(
                        measure: measure,
                        day: day,
                        key: shown(key),
                        column: nil,
                        v1: left == nil ? "no row" : "row",
                        v2: right == nil ? "no row" : "row"
                    )
                )
                continue
            }
            for (column, name) in measure.columns.enumerated() where left[column] != right[column] {
                report.add(
                    .init(
                        measure: measure,
                        day: day,
                        key: shown(key),
                        column: name,
                        v1: isOfPersons ? nil : left[column],
                        v2: isOfPersons ? nil : right[column]
                    )
                )
            }
        }
    }

    private var isOfPersons: Bool { !measure.tokenColumns.isEmpty }

    /// The ledger keeps the report: a person's token stands in it as its SHA-256 only.
    private func shown(_ key: [String]) -> String {
        key.enumerated().map { column, text in
            guard measure.tokenColumns.contains(column) else { return text }
            return "sha256:" + ((try? PersonErasure.account(ofToken: text)) ?? "none")
        }
        .joined(separator: ", ")
    }
}
