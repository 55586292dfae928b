import Crypto
import Engine
import Logging
import Postgres
import Runtime
import Telemetry

/// Loads one bronze file in one fenced transaction: COPY into a staging table, then what differs into silver.
struct FileLoad: Sendable {
    struct Loaded: Sendable {
        var lines = 0
        var staged = 0
        var bad = 0
        var inserted = 0
        var updated = 0
        var deleted = 0
    }

    let file: BronzeFileEntry
    let folder: BronzeFolder
    let context: RunContext
    /// Keys of open dead letters of this file.
    let openLetters: Set<String>

    /// Files of the same entity that were begun later may be in silver already. A replay, which goes through all of
    /// them in their order, need not look.
    let mayBeLate: Bool

    func run(_ connection: PGConnection) async throws -> Loaded {
        try await context.write(on: connection, durable: true) { connection in
            let sql = SilverSQL(plan: .of(file.entity))
            try await connection.execute(sql.createStage)
            let own = try await copy(file, behind: 0, sql, connection)
            if !own.keysRise {
                try await connection.execute("ANALYZE pg_temp.\(SilverSQL.stage)")
                try await connection.execute(sql.removeDuplicates)
            }
            var loaded = Loaded(lines: own.lines, staged: own.good, bad: own.letters.count)
            try await context.failpoint.reach("silver.staged")
            try await merge(connection, sql, &loaded)
            try await context.deadLetters.record(own.letters, in: connection)
            let mended = openLetters.subtracting(own.letters.map(\.key))
            try await context.deadLetters.resolve(keys: Array(mended), in: connection)
            try await BronzeManifest.markLoaded(
                file.id,
                run: context.runID.rawValue,
                written: loaded.inserted + loaded.updated,
                bad: loaded.bad,
                in: connection
            )
            return loaded
        }
    }

    /// Sends a file's records to the staging table, numbered behind `offset`.
    private func copy(
        _ file: BronzeFileEntry,
        behind offset: Int,
        _ sql: SilverSQL,
        _ connection: PGConnection
    ) async throws -> LineBatch {
        var batch = LineBatch(file.entity, path: file.path, behind: offset)
        try await connection.copyInStart(sql.copy)
        let facts: BronzeReader.Facts
        do {
            facts = try await BronzeReader(path: folder.absolute(file.path)).lines { bytes, tooLong in
                batch.take(bytes, tooLong: tooLong)
                guard batch.letters.count <= DeadLetterSink.runMax else {
                    throw TallyError(
                        .tooManyDeadLetters,
                        during: "retail.silver",
                        "more than \(DeadLetterSink.runMax) lines of one bronze file are bad",
                        remedy: "That many bad lines are another format, not bad lines."
                    )
                }
                let out = batch.drain()
                if !out.isEmpty { try await connection.copyInSend(out) }
                let count = batch.drainCount()
                // What is only read for comparison is not counted.
                if offset == 0 { context.progress.add(read: count) } else { context.progress.touch() }
            }
        } catch {
            await connection.copyInAbort("abandoned")
            throw error
        }
        let copied = try await connection.copyInFinish()
        // INV-11: the server confirms as many rows as lines were encoded, and the file is the one that was registered.
        guard copied == batch.good, facts.sha256 == file.sha256, batch.lines == file.records else {
            throw TallyError(
                .proofFailed,
                during: "retail.silver",
                "a bronze file is not the one in the manifest: \(batch.lines) lines of \(file.records)",
                remedy: "It was changed after it was written. Bring the file back, or correct its line."
            )
        }
        return batch
    }

    private func merge(_ connection: PGConnection, _ sql: SilverSQL, _ loaded: inout Loaded) async throws {
        let newer = mayBeLate ? try await BronzeManifest.newer(than: file, on: connection) : ([], false)
        guard !newer.1 else {
            loaded.inserted = try await connection.query(sql.insertUnknown).affectedRows
            return
        }
        try await compare(with: newer.0, connection, sql)
        try await connection.execute("ANALYZE pg_temp.\(SilverSQL.stage)")
        loaded.updated = try await connection.query(sql.update(restamping: !newer.0.isEmpty)).affectedRows
        loaded.inserted = try await connection.query(sql.insert).affectedRows
        if let removal = sql.removeGoneLines { loaded.deleted = try await connection.query(removal).affectedRows }
    }

    /// INV-9: a row that did not change keeps the stamp of its first reading, so only the newer files tell that it was
    /// read since. What they say of the things in this one takes the place of what this one says.
    private func compare(with newer: [BronzeFileEntry], _ connection: PGConnection, _ sql: SilverSQL) async throws {
        guard !newer.isEmpty else { return }
        var offset = file.records
        for other in newer {
            _ = try await copy(other, behind: offset, sql, connection)
            offset += other.records
            try await connection.execute("ANALYZE pg_temp.\(SilverSQL.stage)")
            try await connection.execute(sql.removeUnrelated(own: file.records))
        }
        try await connection.execute(sql.removeOutdated)
        try await connection.execute(sql.removeDuplicates)
        context.logger.event(
            .notice,
            "a bronze file came after newer ones",
            [.count: "\(newer.count)", .runID: "\(context.runID)"]
        )
    }
}

/// Encodes runs of lines and collects those that are no records.
struct LineBatch {
    private var encoder: RecordEncoder
    private let path: String
    private let offset: Int
    private var out: [UInt8] = []
    private var undrained = 0
    private(set) var lines = 0
    private(set) var good = 0
    private(set) var letters: [DeadLetter] = []

    var keysRise: Bool { encoder.keysRise }

    init(_ entity: BronzeEntity, path: String, behind offset: Int = 0) {
        encoder = RecordEncoder(entity)
        self.path = path
        self.offset = offset
    }

    /// Lines of the run; `accepted` hears where each good one stands.
    mutating func take(_ bytes: [UInt8], tooLong: Bool, accepted: ((Range<Int>) -> Void)? = nil) {
        if tooLong {
            lines += 1
            reject(RecordRejection(reason: "the line is longer than \(BronzeReader.lineMax) bytes", columns: []), [])
            return
        }
        let span = bytes.span
        var start = 0
        while start < span.count {
            var end = start
            while end < span.count, span[end] != 0x0A { end += 1 }
            lines += 1
            undrained += 1
            let last = end > start && span[end - 1] == 0x0D ? end - 1 : end
            do throws(RecordRejection) {
                try encoder.append(span.extracting(start..<last), number: Int64(lines + offset), to: &out)
                good += 1
                accepted?(start..<last)
            } catch {
                reject(error, Array(bytes[start..<last]))
            }
            start = end + 1
        }
    }

    /// Letters carry file and line, never a value (INV-5). One without its digest is asked for again by an operator.
    private mutating func reject(_ why: RecordRejection, _ line: [UInt8]) {
        letters.append(
            DeadLetter(
                key: "\(path):\(lines)",
                reason: why.reason,
                kind: TallyError.Kind.recordMalformed.rawValue,
                columns: why.columns,
                fingerprint: Array(SHA256.hash(data: line))
            )
        )
    }

    /// The tuples encoded since the last call.
    mutating func drain() -> [UInt8] {
        defer { out.removeAll(keepingCapacity: true) }
        return out
    }

    /// Lines taken since the last call.
    mutating func drainCount() -> Int {
        defer { undrained = 0 }
        return undrained
    }
}
