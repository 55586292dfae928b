import Engine
import Foundation
import Postgres
import Runtime

/// Fetches, parses and compares; writes neither file nor row (INV-10).
struct RetailDryRun: Sendable {
    struct Findings: Sendable {
        var records = 0
        var new = 0
        var changed = 0
        var bad = 0

        var json: JSONValue {
            ["records": .int(records), "new": .int(new), "changed": .int(changed), "bad": .int(bad)]
        }
    }

    let bronze: BronzeStage
    let warehouse: PGPool
    let context: RunContext

    /// What the source has that silver has not, by entity.
    func source() async throws -> [BronzeEntity: Findings] {
        context.progress.stage("bronze")
        var found: [BronzeEntity: Findings] = [:]
        let last = try await bronze.position().lastID
        var next = try bronze.start(after: last)
        var ids = SalesIDs(gapMax: bronze.settings.idGapMax, last: last)
        while true {
            let asked = bronze.now()
            let page = try await bronze.source.sales(from: next, limit: bronze.settings.salesLimit, context)
            guard let following = try ids.take(page.saleIDs) else { break }
            let records = BronzeRecords(batch: context.runID.rawValue, ingestedAt: asked)
            let bytes = page.body.span
            var headers: [UInt8] = []
            var lines: [UInt8] = []
            for item in page.items {
                let sale = records.sale(bytes, item)
                headers += sale.header
                for line in sale.lines { lines += line }
            }
            try await compare(headers, .salesCustomer, &found)
            try await compare(lines, .salesProduct, &found)
            next = following
        }
        for entity in [BronzeEntity.customers, .products] {
            let asked = bronze.now()
            let page = try await bronze.source.whole(entity, context)
            let records = BronzeRecords(batch: context.runID.rawValue, ingestedAt: asked)
            let bytes = page.body.span
            var lines: [UInt8] = []
            for item in page.items { lines += records.line(bytes, item) }
            try await compare(lines, entity, &found)
        }
        return found
    }

    /// What files that wait would change.
    func files(fromDay: String?) async throws -> [BronzeEntity: Findings] {
        context.progress.stage("silver")
        let files = try await warehouse.withConnection { try await BronzeManifest.toLoad(fromDay: fromDay, on: $0) }
        let all = Watch()
        for file in files {
            _ = try await BronzeReader(path: bronze.folder.absolute(file.path)).lines { bytes, tooLong in
                if !tooLong { try await compare(bytes, file.entity, &all.found) }
            }
        }
        return all.found
    }

    private final class Watch {
        var found: [BronzeEntity: Findings] = [:]
    }

    private func compare(
        _ lines: [UInt8],
        _ entity: BronzeEntity,
        _ found: inout [BronzeEntity: Findings]
    ) async throws {
        var batch = LineBatch(entity, path: "")
        var array: [UInt8] = [UInt8(ascii: "[")]
        batch.take(lines, tooLong: false) { range in
            if array.count > 1 { array.append(UInt8(ascii: ",")) }
            array += lines[range]
        }
        array.append(UInt8(ascii: "]"))
        let (sql, json) = (SilverSQL(plan: .of(entity)), String(decoding: array, as: UTF8.self))
        let counts = try await warehouse.withConnection { connection in
            try await connection.withTransaction(readOnly: true) { connection in
                let row = try await connection.query(sql.compare, [.json(json)]).rows.first
                return (try row?[0].int() ?? 0, try row?[1].int() ?? 0)
            }
        }
        context.progress.add(read: batch.lines, compared: batch.good)
        found[entity, default: Findings()].records += batch.lines
        found[entity, default: Findings()].bad += batch.letters.count
        found[entity, default: Findings()].new += counts.0
        found[entity, default: Findings()].changed += counts.1
    }
}
