import Mongo
import Postgres
import ProductSync
import Testing

/// The short way of a plain value gives the bytes, or the refusal, of the long way: an element of an array takes that.
@Suite struct PlainFieldsTests {
    private struct Kind: CustomTestStringConvertible {
        let name: String
        let oid: UInt32
        let category: String
        let arrayOID: UInt32
        var typmod: Int32 = -1
        var testDescription: String { name }
    }

    private static let kinds = [
        Kind(name: "text", oid: 25, category: "S", arrayOID: 1_009),
        Kind(name: "varchar(8)", oid: 1_043, category: "S", arrayOID: 1_015, typmod: 12),
        Kind(name: "numeric", oid: 1_700, category: "N", arrayOID: 1_231),
        Kind(name: "numeric(8,2)", oid: 1_700, category: "N", arrayOID: 1_231, typmod: (8 << 16 | 2) + 4),
        Kind(name: "int4", oid: 23, category: "N", arrayOID: 1_007),
        Kind(name: "int8", oid: 20, category: "N", arrayOID: 1_016),
        Kind(name: "bool", oid: 16, category: "B", arrayOID: 1_000),
    ]

    private static func plan(_ kind: Kind) throws -> ColumnPlan {
        func column(_ name: String, _ oid: UInt32, element: UInt32?, _ category: String) -> PGColumn {
            PGColumn(
                name: name,
                type: PGType(oid: oid, name: "t", elementOID: element, baseOID: nil, category: category),
                typmod: kind.typmod,
                notNull: false,
                hasDefault: false,
                isGenerated: false,
                isIdentity: false,
                collation: nil
            )
        }
        return try ColumnPlan(
            mapping: SyncMapping(columns: [.init(name: "one", path: ["one"]), .init(name: "all", path: ["all"])]),
            table: SamplePlan.table([
                SamplePlan.column("id", oid: 1_043, "varchar", category: "S", notNull: true),
                column("one", kind.oid, element: nil, kind.category),
                column("all", kind.arrayOID, element: kind.oid, "A"),
            ])
        )
    }

    /// A value of any plain type, often at an edge of it.
    private static func value(_ random: inout MergeModelTests.Random) -> (inout BSONBuilder, String) -> Void {
        let number = Int64(truncatingIfNeeded: Int.random(in: Int.min...Int.max, using: &random))
        let text = ["x", "ü", "€", "😀", "\0"].randomElement(using: &random) ?? "x"
        let length = [0, 1, 7, 8, 9, 15, 16, 17, 4_000, 4_096, 5_000].randomElement(using: &random) ?? 1
        switch Int.random(in: 0..<9, using: &random) {
        case 0: return { $0.append($1, string: String(repeating: "a", count: length)) }
        case 1: return { $0.append($1, string: String(repeating: "a", count: min(length, 20)) + text) }
        case 2: return { $0.append($1, string: text + String(repeating: "b", count: min(length, 9))) }
        case 3: return { $0.append($1, double: Double(number % 100_000_000) / 100) }
        case 4: return { $0.append($1, double: Double(bitPattern: UInt64(bitPattern: number))) }
        case 5: return { $0.append($1, int32: Int32(truncatingIfNeeded: number)) }
        case 6: return { $0.append($1, int64: number >> (number & 63)) }
        case 7: return { $0.append($1, bool: number < 0) }
        default: return { $0.append($1, objectID: (0..<12).map { UInt8(truncatingIfNeeded: number >> ($0 * 5)) }) }
        }
    }

    private static func page(_ plan: ColumnPlan, _ field: (inout BSONBuilder) -> Void) -> SourcePage {
        var builder = BSONBuilder()
        builder.append("_id", objectID: [UInt8](repeating: 0xAB, count: 12))
        field(&builder)
        let document = builder.finish().bytes
        let page = SourcePageBuilder(plan: plan)
        // The first teaches the order of fields, the second takes the short way.
        page.add(document.span)
        page.add(document.span)
        return page.take()
    }

    /// Length and content of a column's field in the last row.
    private static func field(_ column: Int, of page: SourcePage) -> [UInt8] {
        var rest = page.rows.image(page.rows.count - 1).dropFirst(2)
        for _ in 0..<column { rest = rest.dropFirst(4 + max(0, length(rest))) }
        return Array(rest.prefix(4 + max(0, length(rest))))
    }

    private static func length(_ bytes: ArraySlice<UInt8>) -> Int {
        Int(bytes.prefix(4).reduce(Int32(0)) { $0 << 8 | Int32($1) })
    }

    @Test(arguments: kinds)
    private func agreesWithTheLongWay(kind: Kind) throws {
        let seed = UInt64.random(in: 0...UInt64.max)
        var random = MergeModelTests.Random(state: seed)
        let plan = try Self.plan(kind)
        var taken = 0
        for _ in 0..<400 {
            let append = Self.value(&random)
            let short = Self.page(plan) { append(&$0, "one") }
            let long = Self.page(plan) { builder in
                var items = BSONBuilder()
                append(&items, "0")
                builder.append("all", array: items.finish())
            }
            try #require(short.rows.count == 2 && long.rows.count == 2)
            #expect(short.rejections[1]?.reason == long.rejections[1]?.reason, "seed \(seed)")
            guard short.rejections[1] == nil, long.rejections[1] == nil else { continue }
            taken += 1
            // An array of one: its own length, dimensions, null flag, type, size and lower bound stand before it.
            #expect(Self.field(1, of: short) == Array(Self.field(2, of: long).dropFirst(24)), "seed \(seed)")
        }
        #expect(taken > 20)
    }
}
