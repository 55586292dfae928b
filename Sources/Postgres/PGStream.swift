import CLibPQ
import Runtime

/// Where a streamed statement stands.
enum PGStream {
    case idle
    /// Rows may still come; `columns` are known once the first did.
    case open(columns: [PGResult.Column]?)
    /// The statement failed behind rows that were handed out.
    case failed(any Error)
}

extension PGConnection {
    /// Runs one statement with bound values and lends its rows, in binary, as they arrive.
    ///
    /// Memory holds one piece: `maxRows` rows, or fewer whose values take `maxBytes` and a row. Unlike a cursor, the
    /// statement is planned as `query` would plan it, with parallel workers. An error of the server is thrown behind
    /// every row that it sent before; so the rows are the whole result only once this returns. Until then the session
    /// takes no other statement. It is idle again, or broken, when this returns or throws, also when `body` throws or
    /// the task is cancelled.
    package nonisolated func stream(
        _ sql: String,
        _ parameters: [PGValue] = [],
        maxRows: Int = 4_000,
        maxBytes: Int = 1 << 20,
        _ body: ([PGRow]) async throws -> Void
    ) async throws {
        try await startStream(sql, parameters)
        do {
            while let rows = try await nextRows(maxRows: maxRows, maxBytes: maxBytes) { try await body(rows) }
        } catch {
            await endStream()
            throw error
        }
    }

    private func startStream(_ sql: String, _ parameters: [PGValue]) async throws {
        // libpq would refuse the second statement and go on with the first.
        guard case .idle = stream else { throw Self.misused("another statement is being streamed") }
        try await cancellable {
            let bound = parameters.map(\.bound)
            let sent = bound.withPointers { types, values, lengths, formats in
                PQsendQueryParams(handle.pointer, sql, Int32(bound.count), types, values, lengths, formats, 1)
            }
            guard sent == 1, PQsetSingleRowMode(handle.pointer) == 1 else {
                let failure = handle.connectionError(during: "postgres.stream")
                if sent == 1 { drain() }
                if PQstatus(handle.pointer) != CONNECTION_OK { markBroken() }
                throw failure
            }
            stream = .open(columns: nil)
        }
    }

    /// The next rows; nil at the end, when the session is idle again.
    private func nextRows(maxRows: Int, maxBytes: Int) async throws -> [PGRow]? {
        try await cancellable {
            if case .failed(let error) = stream { throw error }
            guard case .open(var columns) = stream else { return nil }
            var rows: [PGRow] = []
            var bytes = 0
            while rows.count < maxRows, bytes < maxBytes {
                guard let result = PQgetResult(handle.pointer) else {
                    // Every statement ends with a status of its own, which has been seen to below.
                    throw Self.misused("another statement was run while rows were being streamed")
                }
                guard PQresultStatus(result) == PGRES_SINGLE_TUPLE else {
                    let failure = endStream(with: result)
                    stream = failure.map { .failed($0) } ?? .idle
                    // What came before the error is whole: it is handed out first.
                    if let failure, rows.isEmpty { throw failure }
                    return rows.isEmpty ? nil : rows
                }
                defer { PQclear(result) }
                let known = columns ?? PGResult.columns(of: result)
                columns = known
                let row = PGRow(reading: result, row: 0, columns: known)
                bytes += row.byteCount
                rows.append(row)
            }
            stream = .open(columns: columns)
            return rows
        }
    }

    /// Reads the statement's status and whatever follows it, until the session is idle; frees the result.
    private func endStream(with result: OpaquePointer) -> (any Error)? {
        switch PQresultStatus(result) {
        case PGRES_COPY_IN, PGRES_COPY_OUT, PGRES_COPY_BOTH:
            PQclear(result)
            drain()
            return Self.misused("COPY has no rows to stream")
        default: break
        }
        var failure: (any Error)?
        do { _ = try finish(result, during: "postgres.stream") } catch { failure = error }
        while let rest = PQgetResult(handle.pointer) { PQclear(rest) }
        return failure
    }

    /// Gives up what is still to come.
    private func endStream() {
        if PQtransactionStatus(handle.pointer) == PQTRANS_ACTIVE { drain() }
        stream = .idle
    }

    private static func misused(_ how: String) -> TallyError {
        TallyError(.protocolViolation, during: "postgres.stream", how)
    }
}
