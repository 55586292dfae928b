import Crypto
import Postgres
import Runtime

/// Reads a measure of one day from the source, identifiers turned into tokens on the way.
struct WindowReader: Sendable {
    let settings: AnalyticsSettings
    let schema: SourceSchema
    let legacy: Bool
    let catalog: SourceCatalog
    /// SHA-256 of the tokens of persons who were erased; their rows are left out.
    let erased: Set<[UInt8]>
    private let tokeniser: Tokeniser
    /// While tokens are being replaced, who was erased under the old one must not come back under the new one.
    private let previous: Tokeniser?

    init(
        settings: AnalyticsSettings,
        schema: SourceSchema,
        legacy: Bool,
        catalog: SourceCatalog,
        erased: Set<[UInt8]> = []
    ) {
        self.settings = settings
        self.schema = schema
        self.legacy = legacy
        self.catalog = catalog
        self.erased = erased
        tokeniser = Tokeniser(settings.key)
        previous = settings.previousKey.map { Tokeniser($0) }
    }

    /// Runs the query inside the source's open transaction; `sink` gets the rows in pieces and empties them.
    ///
    /// Returns the digest of all rows. Memory holds one piece, however many rows there are.
    func read(
        _ measure: Measure,
        _ day: CalendarDay,
        from source: PGConnection,
        _ sink: (inout RowBuffer) async throws -> Void
    ) async throws -> RowDigest {
        let parameters = WindowParameters(
            day,
            zone: settings.zone,
            churnDays: settings.churnDays,
            present: catalog.present(measure, schema)
        )
        let sql = measure.sql(schema, legacy: legacy)
        var digest = RowDigest()
        var buffer = RowBuffer()
        // Not through a cursor: PostgreSQL runs none with parallel workers, and plans it for its first rows.
        try await source.stream(sql, parameters.values) { rows in
            take(rows, measure, into: &buffer, &digest)
            if !buffer.isEmpty { try await sink(&buffer) }
        }
        return digest
    }

    private func take(
        _ rows: [PGRow],
        _ measure: Measure,
        into buffer: inout RowBuffer,
        _ digest: inout RowDigest
    ) {
        let width = measure.columns.count
        for row in rows {
            var token: [UInt8]?
            if let column = measure.tokenColumns.first, let value = row[column].bytes {
                let made = tokeniser.token(of: value, in: schema)
                if isErased(made, value) { continue }
                token = made
            }
            buffer.append(row, width: width) { column, value in
                // No way leads an identifier past the tokens, not even a NULL in the first column of them.
                measure.tokenColumns.contains(column) ? token ?? tokeniser.token(of: value, in: schema) : value
            }
        }
        for tuple in buffer.tuples { digest.add(tuple) }
    }

    private func isErased(_ token: [UInt8], _ value: [UInt8]) -> Bool {
        guard !erased.isEmpty else { return false }
        if erased.contains(Array(SHA256.hash(data: token))) { return true }
        guard let previous else { return false }
        return erased.contains(Array(SHA256.hash(data: previous.token(of: value, in: schema))))
    }
}
