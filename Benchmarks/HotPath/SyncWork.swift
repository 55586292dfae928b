import Mongo
import Postgres
import ProductSync

/// The product sync's two: a document into a row image, and two streams of rows compared.
struct SyncWork {
    private let plan: ColumnPlan
    private let documents: [[UInt8]]
    /// The same as the array in which a reply brings them.
    private let array: [UInt8]

    init() throws {
        plan = try ColumnPlan(mapping: Self.mapping, table: Self.table)
        documents = (0..<1_000).map(Self.document)
        var items = BSONBuilder()
        for (index, document) in documents.enumerated() {
            items.append("\(index)", document: BSONDocument(bytes: document))
        }
        array = items.finish().bytes
    }

    /// Encodes that many documents, reply by reply as the reader does; how many bytes of rows they gave.
    func encode(documents count: Int) throws -> Int {
        let builder = SourcePageBuilder(plan: plan)
        var bytes = 0
        for _ in 0..<max(1, count / documents.count) {
            try builder.add(array: array.span)
            bytes += builder.take().rows.bytes.count
        }
        return bytes
    }

    /// Merges a page with the same rows as they come out of the table, one in a hundred changed, until that many rows
    /// were compared; how many were unchanged.
    func merge(rows count: Int) throws -> Int {
        let builder = SourcePageBuilder(plan: plan)
        for document in documents { builder.add(document.span) }
        let page = builder.take()
        var target = PGCopyChunk(bytes: page.rows.bytes, rowStarts: page.rows.starts.map { Int32($0) })
        for row in stride(from: 50, to: page.rows.count, by: 100) {
            target.bytes[page.rows.range(row).upperBound - 1] ^= 1
        }
        var unchanged = 0
        for _ in 0..<max(1, count / page.rows.count) {
            var step = MergeStep(plan: plan, order: .bytes(.objectIDHex))
            var findings = Findings()
            var sourceRow = 0
            var targetRow = 0
            try step.run(
                source: page,
                sourceRow: &sourceRow,
                target: target,
                targetRow: &targetRow,
                into: &findings
            )
            unchanged += findings.unchanged
        }
        return unchanged
    }

    /// A product of the shop as the projection lets it through.
    private static func document(_ number: Int) -> [UInt8] {
        var builder = BSONBuilder()
        builder.append("_id", objectID: [0x65, 0xA0, 0, 0, 0, 0, 0, 0, 0, 0, UInt8(number >> 8), UInt8(number & 255)])
        builder.append("title", string: "Product \(number)")
        builder.append("price", double: Double(number % 500) + 0.99)
        builder.append("image", string: "https://cdn.example/products/\(number).jpg")
        builder.append("sellerId", objectID: [0x65, 0xA0, 0, 0, 0, 0, 0, 0, 0, 1, 0, UInt8(number % 97)])
        builder.append("quantity", int32: Int32(number % 90))
        return builder.finish().bytes
    }

    private static let mapping = SyncMapping(
        columns: ["title", "price", "image", "sellerId", "quantity"].map { .init(name: $0, path: [$0]) }
    )

    private static let table = PGTable(
        schema: "public",
        name: "product",
        oid: 1,
        columns: [
            column("id", 1043, "varchar", "S", notNull: true), column("title", 1043, "varchar", "S"),
            column("price", 1700, "numeric", "N"), column("image", 1043, "varchar", "S"),
            column("sellerId", 1043, "varchar", "S"), column("quantity", 23, "int4", "N"),
        ],
        uniqueIndexes: [PGUniqueIndex(name: "product_pkey", columns: ["id"], isPrimary: true, immediate: true)],
        kind: "r",
        hasTriggers: false
    )

    private static func column(_ name: String, _ oid: UInt32, _ type: String, _ category: String, notNull: Bool = false)
        -> PGColumn
    {
        PGColumn(
            name: name,
            type: PGType(oid: oid, name: type, elementOID: nil, baseOID: nil, category: category),
            typmod: -1,
            notNull: notNull,
            hasDefault: false,
            isGenerated: false,
            isIdentity: false,
            collation: nil
        )
    }
}
