import Mongo
import Postgres
import ProductSync
import Testing

/// A document's image does not depend on the documents before it, however the encoder guesses by them.
@Suite struct SourcePageBuilderTests {
    private static let names = ["title", "price", "image", "sellerId", "quantity"]

    private static func plan() throws -> ColumnPlan {
        try ColumnPlan(
            mapping: SyncMapping(
                columns: names.map { .init(name: $0, path: [$0 == "image" ? "longerThanEight" : $0]) }
            ),
            table: SamplePlan.table([
                SamplePlan.column("id", oid: 1043, "varchar", category: "S", notNull: true),
                SamplePlan.column("title", oid: 1043, "varchar", category: "S"),
                SamplePlan.column("price", oid: 1700, "numeric", category: "N"),
                SamplePlan.column("image", oid: 25, "text", category: "S"),
                SamplePlan.column("sellerId", oid: 1043, "varchar", category: "S"),
                SamplePlan.column("quantity", oid: 23, "int4", category: "N"),
            ])
        )
    }

    private static func document(_ number: Int, _ random: inout MergeModelTests.Random) -> [UInt8] {
        var fields: [(inout BSONBuilder) -> Void] = [
            { $0.append("title", string: number % 3 == 0 ? "Grüße \(number)" : "Product number \(number)") },
            { $0.append("price", double: Double(number) * 1.01) },
            { $0.append("longerThanEight", string: "https://cdn.example/\(number)") },
            { $0.append("sellerId", objectID: [UInt8](repeating: UInt8(number & 255), count: 12)) },
            { $0.append("quantity", int32: Int32(number)) },
            { $0.append("titles", string: "another field") },
            { $0.append("longerThanNine", string: "as long as the mapped one, nearly") },
        ]
        fields.shuffle(using: &random)
        fields.removeLast(Int.random(in: 0...3, using: &random))
        if Bool.random(using: &random) { fields.append { $0.appendNull("unknown") } }
        var builder = BSONBuilder()
        let id: [UInt8] = [0, 0, 0, 0, 0, 0, 0, 0, 0, 0, UInt8(number >> 8), UInt8(number & 255)]
        let atEnd = Bool.random(using: &random)
        if !atEnd { builder.append("_id", objectID: id) }
        for field in fields { field(&builder) }
        if atEnd { builder.append("_id", objectID: id) }
        return builder.finish().bytes
    }

    @Test(arguments: 0..<20)
    func whatCameBeforeChangesNothing(seed: Int) throws {
        var random = MergeModelTests.Random(state: UInt64(seed))
        let plan = try Self.plan()
        let documents = (0..<100).map { Self.document($0, &random) }
        let together = SourcePageBuilder(plan: plan)
        var alone: [[UInt8]] = []
        for document in documents {
            together.add(document.span)
            let one = SourcePageBuilder(plan: plan)
            one.add(document.span)
            alone.append(one.take().rows.bytes)
        }
        let page = together.take()
        #expect((0..<page.rows.count).map { page.rows.image($0) } == alone, "seed \(seed)")
        #expect(page.documents == 100)
        #expect(page.lastID?.bytes == [0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 99])
        #expect(together.take().lastID == nil, "a page without documents ends nowhere")
    }

    @Test func aRowIsWhatCopyWouldSend() throws {
        var builder = BSONBuilder()
        builder.append("_id", objectID: [0x65, 0xA0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0x1F])
        builder.append("title", string: "Tee")
        builder.append("price", double: 1_234.5)
        builder.append("quantity", int32: -2)
        let page = SourcePageBuilder(plan: try Self.plan())
        let document = builder.finish().bytes
        page.add(document.span)
        var image: [UInt8] = [0, 6, 0, 0, 0, 24] + Array("65a00000000000000000001f".utf8)
        image += [0, 0, 0, 3] + Array("Tee".utf8)
        // Two groups of four digits, weight 0, positive, one digit behind the point: 1234 and 5000.
        image += [0, 0, 0, 12, 0, 2, 0, 0, 0, 0, 0, 1, 0x04, 0xD2, 0x13, 0x88]
        image += [255, 255, 255, 255, 255, 255, 255, 255, 0, 0, 0, 4, 255, 255, 255, 254]
        #expect(page.take().rows.bytes == image)
    }
}
