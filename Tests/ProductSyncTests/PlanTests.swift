import Postgres
import ProductSync
import Runtime
import Testing

/// The mapping against the target's catalog: every problem at once, with the place that says it.
@Suite struct PlanTests {
    @Test func everyProblemIsNamedAtOnce() throws {
        let mapping = try SyncMapping(
            yaml: "columns:\n  title: title\n  place: place\n  absent: absent",
            file: "m.yaml"
        )
        let table = SamplePlan.table(
            [
                SamplePlan.column("id", oid: 1043, "varchar", category: "S"),
                SamplePlan.column("title", oid: 25, "text", category: "S"),
                SamplePlan.column("place", oid: 600, "point", category: "G"),
                SamplePlan.column("sku", oid: 25, "text", category: "S", notNull: true),
            ],
            unique: ["id", "title"]
        )
        let error = #expect(throws: TallyError.self) { try ColumnPlan(mapping: mapping, table: table) }
        #expect(error?.kind == .schemaMismatch)
        for words in [
            "m.yaml:3: column \"place\" has type point", "m.yaml:4: table public.product has no column \"absent\"",
            "has no unique key on \"id\"", "column \"sku\" is NOT NULL without a default",
        ] {
            #expect(error?.summary.contains(words) == true, "\(words) in \(error?.summary ?? "")")
        }
    }

    /// MongoDB tells apart what citext takes for one key, and an enum has an order of its own.
    @Test(arguments: [("citext", "S"), ("mood", "E")])
    func aKeyOfATypeThatMergesOrOrdersOtherwiseIsRefused(type: String, category: String) throws {
        let table = SamplePlan.table([SamplePlan.column("id", oid: 90_000, type, category: category, notNull: true)])
        let error = #expect(throws: TallyError.self) {
            try ColumnPlan(mapping: SyncMapping(columns: []), table: table)
        }
        #expect(error?.summary.contains("a key of type \(type) cannot hold an _id") == true, "\(error?.summary ?? "")")
    }

    /// INV-9: what has no order of its own cannot say which row is newer.
    @Test func aVersionNeedsAnOrder() throws {
        let mapping = try SyncMapping(yaml: "version: v\ncolumns:\n  v: v", file: "m.yaml")
        for (oid, name, isFine) in [
            (3_802, "jsonb", false), (114, "json", false), (25, "text", true), (20, "int8", true),
        ] {
            let table = SamplePlan.table(
                [
                    SamplePlan.column("id", oid: 1043, "varchar", category: "S"),
                    SamplePlan.column("v", oid: UInt32(oid), name, category: "U"),
                ],
                unique: ["id"]
            )
            guard !isFine else {
                #expect(try ColumnPlan(mapping: mapping, table: table).versionColumn == 1)
                continue
            }
            let error = #expect(throws: TallyError.self) { try ColumnPlan(mapping: mapping, table: table) }
            #expect(error?.summary.contains("cannot be a version") == true, "\(name)")
        }
    }

    @Test func typmodsAreRead() {
        func type(_ oid: UInt32, _ typmod: Int32) -> FieldType? {
            FieldType(SamplePlan.column("c", oid: oid, "t", category: "N", typmod: typmod))
        }
        #expect(type(1700, -1) == .numeric(precision: nil, scale: 0))
        #expect(type(1700, (10 << 16 | 2) + 4) == .numeric(precision: 10, scale: 2))
        #expect(type(1700, (5 << 16 | (-2 & 0x7ff)) + 4) == .numeric(precision: 5, scale: -2))
        #expect(type(1043, 44) == .text(charactersMax: 40))
        #expect(type(1043, -1) == .text(charactersMax: nil))
        #expect(type(1042, 7) == .padded(characters: 3))
        #expect(type(1184, 3) == .timestamp(precision: 3, zoned: true))
    }

    @Test(arguments: [
        (SyncKey.text(byteOrder: false, charactersMax: nil, padded: false), IDBracket.objectID, true),
        (.text(byteOrder: false, charactersMax: nil, padded: false), .string, false),
        (.text(byteOrder: true, charactersMax: nil, padded: false), .string, true),
        (.text(byteOrder: true, charactersMax: nil, padded: false), .number, false),
        (.integer(.int8), .number, true), (.uuid, .binary, true), (.uuid, .string, false),
    ])
    func mergesOnlyWhereBothSidesSortAlike(key: SyncKey, bracket: IDBracket, merges: Bool) {
        #expect((key.order(with: bracket) != nil) == merges)
    }

    @Test(arguments: [0, 1, -1, 127, 128, -128, 255, 65_536, Int64.max, Int64.min])
    func integerKeysReadBack(value: Int64) {
        let bytes = withUnsafeBytes(of: value.bigEndian) { Array($0) }
        #expect(SyncKey.integer(bytes) == value)
        #expect(SyncKey.integer(.int8).text(bytes) == String(value))
    }
}
