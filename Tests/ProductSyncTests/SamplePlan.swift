import Postgres
import ProductSync

/// A plan of a text key and one int column, with images and chunks made by hand.
enum SamplePlan {
    static func make() throws -> ColumnPlan {
        try ColumnPlan(
            mapping: SyncMapping(columns: [.init(name: "quantity", path: ["quantity"])]),
            table: table([
                column("id", oid: 1043, "varchar", category: "S", notNull: true),
                column("quantity", oid: 23, "int4", category: "N"),
            ])
        )
    }

    static func table(_ columns: [PGColumn], unique: [String] = ["id"]) -> PGTable {
        PGTable(
            schema: "public",
            name: "product",
            oid: 1,
            columns: columns,
            uniqueIndexes: [PGUniqueIndex(name: "product_pkey", columns: unique, isPrimary: true, immediate: true)],
            kind: "r",
            hasTriggers: false
        )
    }

    static func column(
        _ name: String,
        oid: UInt32,
        _ type: String,
        category: String,
        typmod: Int32 = -1,
        notNull: Bool = false
    ) -> PGColumn {
        PGColumn(
            name: name,
            type: PGType(oid: oid, name: type, elementOID: nil, baseOID: nil, category: category),
            typmod: typmod,
            notNull: notNull,
            hasDefault: false,
            isGenerated: false,
            isIdentity: false,
            collation: nil
        )
    }

    /// 24 hex digits that sort as `number` does.
    static func key(_ number: Int) -> String {
        let hex = String(number * 7919, radix: 16)
        return String(repeating: "0", count: 24 - hex.count) + hex
    }

    static func image(_ key: String, _ value: Int32?) -> [UInt8] {
        var bytes: [UInt8] = [0, 2]
        bytes += [0, 0, 0, UInt8(key.utf8.count)] + Array(key.utf8)
        if let value {
            bytes += [0, 0, 0, 4] + withUnsafeBytes(of: value.bigEndian) { Array($0) }
        } else {
            bytes += [255, 255, 255, 255]
        }
        return bytes
    }

    static func page(_ rows: [[UInt8]]) -> SourcePage {
        var page = SourcePage()
        for row in rows { page.rows.append(row) }
        page.documents = rows.count
        return page
    }

    static func chunk(_ rows: [[UInt8]]) -> PGCopyChunk {
        var bytes: [UInt8] = []
        var starts: [Int32] = []
        for row in rows {
            starts.append(Int32(bytes.count))
            bytes += row
        }
        return PGCopyChunk(bytes: bytes, rowStarts: starts)
    }
}
