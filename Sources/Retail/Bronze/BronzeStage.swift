import Engine
import Foundation
import Logging
import Postgres
import Runtime
import Telemetry

/// What a bronze stage did.
struct BronzeReport: Sendable {
    var pages = 0
    var records: [BronzeEntity: Int] = [:]
    var files = 0
    var bytes = 0
    var adopted = 0
    var removed = 0
    var lastSalesID: Int64 = 0
    var newSales = 0

    var json: JSONValue {
        [
            "pages": .int(pages), "files": .int(files), "bytes": .int(bytes), "adopted": .int(adopted),
            "removed": .int(removed), "lastSalesId": .int(Int(lastSalesID)),
            "records": .object(
                Dictionary(records.map { ($0.key.rawValue, .int($0.value)) }, uniquingKeysWith: { first, _ in first })
            ),
        ]
    }
}

/// Source API to files: each is fsynced and renamed into place when it is whole, and gets its line in the manifest
/// in the transaction that moves the watermark (INV-1).
struct BronzeStage: Sendable {
    static let key = WatermarkKey(source: "retail", table: "sales", accountID: "")

    let settings: RetailSettings
    let source: RetailSource
    let warehouse: PGPool
    let context: RunContext
    let now: @Sendable () -> Date

    var folder: BronzeFolder { BronzeFolder(root: settings.bronzeFolder, compression: settings.compression) }

    func run() async throws -> BronzeReport {
        var report = BronzeReport()
        context.progress.stage("bronze")
        _ = try folder.removePartials()
        report.adopted = try await adopt()
        // Sales come first: by then their customers and products are at the source.
        try await sales(&report)
        for entity in [BronzeEntity.customers, .products] { try await whole(entity, &report) }
        report.removed = try await expire()
        return report
    }

    // MARK: Positions

    /// The watermark, and the last id it stands for; before the first run, what the service replaced had reached.
    func position() async throws -> (watermark: Watermark?, lastID: Int64?) {
        try await warehouse.withConnection { connection in
            if let watermark = try await Watermarks.read(Self.key, on: connection) {
                return (watermark, watermark.id.flatMap { Int64($0) })
            }
            let old = try await connection.query(
                "SELECT last_sales_id FROM meta.ingestion_state WHERE source_name = 'sales'"
            ).rows.first
            return (nil, try old.flatMap { $0[0].isNull ? nil : try $0[0].int64() })
        }
    }

    /// Where reading begins: `lookback` ids before the one after the last, for edits of old sales.
    func start(after last: Int64?) throws -> Int64 {
        guard let last, context.options.full != true else { return settings.startSalesID }
        return try SalesIDs.start(after: last, lookback: settings.lookback, first: settings.startSalesID)
    }

    // MARK: Sales

    private func sales(_ report: inout BronzeReport) async throws {
        var (watermark, last) = try await position()
        var next = try start(after: last)
        var ids = SalesIDs(gapMax: settings.idGapMax, last: last)
        var isAtEnd = false
        while !isAtEnd {
            let stamp = BronzeStamp(now())
            let header = try BronzeFile(.salesCustomer, in: folder, stamp: stamp)
            let lines = try BronzeFile(.salesProduct, in: folder, stamp: stamp)
            while !isAtEnd, header.records < settings.fileSalesMax {
                let asked = now()
                let page = try await source.sales(from: next, limit: settings.salesLimit, context)
                report.pages += 1
                // A short page may be an accident: only an empty one is the end.
                guard let following = try ids.take(page.saleIDs) else {
                    isAtEnd = true
                    continue
                }
                try write(page, asked, header, lines)
                if let last {
                    report.newSales += page.saleIDs.count { $0 > last }
                } else {
                    report.newSales += page.saleIDs.count
                }
                last = ids.last
                next = following
                context.progress.add(read: page.items.count)
                try await context.failpoint.reach("bronze.pageWritten")
            }
            watermark = try await register([header, lines], lastID: last, from: watermark, &report)
        }
        report.lastSalesID = last ?? 0
    }

    private func write(_ page: SourcePage, _ asked: Date, _ header: BronzeFile, _ lines: BronzeFile) throws {
        let records = BronzeRecords(batch: context.runID.rawValue, ingestedAt: asked)
        let bytes = page.body.span
        for item in page.items {
            let sale = records.sale(bytes, item)
            let id = RecordMembers(bytes, item)["id"].flatMap { SilverField.integer(bytes, $0) }.map(String.init)
            try header.append(sale.header, id: id)
            for line in sale.lines { try lines.append(line, id: id) }
        }
    }

    // MARK: Customers, products

    private func whole(_ entity: BronzeEntity, _ report: inout BronzeReport) async throws {
        let asked = now()
        let page = try await source.whole(entity, context)
        report.pages += 1
        let records = BronzeRecords(batch: context.runID.rawValue, ingestedAt: asked)
        let file = try BronzeFile(entity, in: folder, stamp: BronzeStamp(asked))
        let bytes = page.body.span
        for item in page.items { try file.append(records.line(bytes, item), id: nil) }
        context.progress.add(read: page.items.count)
        try await context.failpoint.reach("bronze.pageWritten")
        _ = try await register([file], lastID: nil, from: nil, &report)
    }

    // MARK: Manifest

    /// Puts whole files into place and into the manifest; with `lastID` the watermark moves in the same transaction.
    private func register(
        _ files: [BronzeFile],
        lastID: Int64?,
        from watermark: Watermark?,
        _ report: inout BronzeReport
    ) async throws -> Watermark? {
        var facts: [BronzeFileFacts] = []
        for file in files where file.records > 0 {
            facts.append(try await file.finish { try await context.failpoint.reach("bronze.beforeRename") })
            try await context.failpoint.reach("bronze.afterRename")
        }
        guard !facts.isEmpty else { return watermark }
        let next = lastID.map { Watermark(id: String($0)) }
        let (added, run) = (facts, context.runID.rawValue)
        try await warehouse.withConnection { connection in
            try await context.write(on: connection, durable: true) { connection in
                try await BronzeManifest.add(added, batch: run, adopted: false, in: connection)
                guard let next, let lastID else { return }
                try await Watermarks.advance(Self.key, from: watermark, to: next, in: connection)
                try await Self.note(lastID, in: connection)
            }
        }
        for file in facts {
            report.files += 1
            report.bytes += file.bytes
            report.records[file.entity, default: 0] += file.records
            context.progress.add(written: file.records)
            RetailMetric.file(file)
            RetailMetric.rows(.bronze, file.entity, file.records)
        }
        return next ?? watermark
    }

    /// The old table keeps its shape and meaning: the last id, never going back (INV-2).
    private static func note(_ lastID: Int64, in connection: PGConnection) async throws {
        _ = try await connection.query(
            """
            INSERT INTO meta.ingestion_state AS state (source_name, last_sales_id, last_run_ts, note)
            VALUES ('sales', $1, clock_timestamp(), 'tallyman')
            ON CONFLICT (source_name) DO UPDATE SET last_run_ts = excluded.last_run_ts, note = excluded.note,
                last_sales_id = greatest(state.last_sales_id, excluded.last_sales_id)
            """,
            [.int(lastID)]
        )
    }

    /// Takes in whole files that have no line: of a run killed between rename and commit, or of the service replaced.
    private func adopt() async throws -> Int {
        let known = try await warehouse.withConnection { try await BronzeManifest.paths(on: $0) }
        var adopted = 0
        for file in try folder.files() where !known.contains(file.path) {
            var records = 0
            let facts = try await BronzeReader(path: folder.absolute(file.path)).lines { bytes, tooLong in
                // Counted as silver counts them: a line that is too long comes without its bytes.
                let open = !bytes.isEmpty && bytes.last != 0x0A
                records += bytes.count { $0 == 0x0A } + (open || tooLong ? 1 : 0)
            }
            let entry = BronzeFileFacts(
                entity: file.entity,
                path: file.path,
                day: file.day,
                records: records,
                bytes: facts.bytes,
                sha256: facts.sha256,
                firstID: nil,
                lastID: nil
            )
            let run = context.runID.rawValue
            try await warehouse.withConnection { connection in
                try await context.write(on: connection, durable: true) { connection in
                    try await BronzeManifest.add([entry], batch: run, adopted: true, in: connection)
                }
            }
            adopted += 1
        }
        if adopted > 0 {
            context.logger.event(
                .notice,
                "whole bronze files without a line in the manifest were taken in",
                [.count: "\(adopted)", .runID: "\(context.runID)"]
            )
        }
        return adopted
    }

    private func expire() async throws -> Int {
        guard let days = settings.retentionDays else { return 0 }
        let removed = try await warehouse.withConnection { connection in
            try await context.write(on: connection, durable: true) {
                try await BronzeManifest.expire(days: days, in: $0)
            }
            // Also those that a run marked and did not live to remove.
            return try await BronzeManifest.removed(on: connection)
        }
        try await context.failpoint.reach("bronze.beforeRemove")
        var count = 0
        for path in removed where unlink(path) { count += 1 }
        return count
    }

    /// False when the file is gone already.
    private func unlink(_ path: String) -> Bool {
        let place = folder.absolute(path)
        guard FileManager.default.fileExists(atPath: place) else { return false }
        do {
            try FileManager.default.removeItem(atPath: place)
            return true
        } catch {
            context.logger.event(.warning, "an old bronze file cannot be removed", [.runID: "\(context.runID)"])
            return false
        }
    }
}
