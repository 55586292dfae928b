import Engine
import Mongo
import Postgres
import ProductSync
import Runtime
import TestKit
import Testing

/// What a document holds stands in the target exactly, and is found equal when both are compared again.
///
/// nx-27017 loses Decimal128, int64 and UUID and flattens dotted projections, so those are not tried here.
@Suite struct ValueFidelityTests {
    private static let table = """
        CREATE TABLE product (id varchar PRIMARY KEY, price numeric, rounded numeric(6,1), ratio float8, small real,
            active boolean, code char(5), tags text[], scores int[], attributes jsonb, loose json,
            made timestamptz, day date, local timestamp(0), owner text, stock bigint, note varchar(10))
        """

    private static let mapping = """
        columns:
          price: price
          rounded: price
          ratio: ratio
          small: ratio
          active: active
          code: code
          tags: tags
          scores: scores
          attributes: attributes
          loose: attributes
          made: made
          day: made
          local: made
          owner: owner
          stock: stock
          note: {source: remark, missing: none}
        """

    private static func document(_ number: Int, _ body: (inout BSONBuilder) -> Void) -> BSONDocument {
        var document = BSONBuilder()
        document.append("_id", objectID: ProductDocuments.id(number))
        body(&document)
        return document.finish()
    }

    private static func list(_ body: (inout BSONBuilder) -> Void) -> BSONDocument {
        var list = BSONBuilder()
        body(&list)
        return list.finish()
    }

    private static var documents: [BSONDocument] {
        [
            document(1) { document in
                document.append("price", double: 19.99)
                document.append("ratio", double: 0.1)
                document.append("active", bool: true)
                document.append("code", string: "ab")
                document.append(
                    "tags",
                    array: list {
                        $0.append("0", string: "a,b")
                        $0.append("1", string: "ü")
                    }
                )
                document.append("scores", array: list { $0.append("0", int32: -3) })
                document.append(
                    "attributes",
                    document: list {
                        $0.append("z", double: 1.5)
                        $0.append("a", string: "q\"\\\n")
                        $0.append("made", date: 1_700_000_000_123)
                    }
                )
                document.append("made", date: 1_700_000_000_500)
                document.append("owner", objectID: ProductDocuments.id(9))
                document.append("stock", double: 7)
                document.append("remark", string: "hello")
            },
            document(2) { document in
                document.append("price", double: 1e-7)
                document.append("tags", array: list { _ in })
                document.append("made", date: -1)
            },
            document(3) { $0.appendNull("price") },
        ]
    }

    @Test func valuesArriveExactlyAndCompareEqual() async throws {
        let bench = try await SyncBench.make(table: Self.table)
        try await bench.insert(Self.documents)
        let settings = ProductSyncSettings(mapping: try SyncMapping(yaml: Self.mapping, file: "mapping.yaml"))
        let run = try await bench.run(bench.job(settings))
        #expect(run.state == .succeeded, "\(String(describing: run.error)) \(run.summary?.text ?? "")")
        let rows = try await bench.sql(
            """
            SELECT concat_ws('|', price, rounded, ratio, small, active, code || '.', tags, scores, attributes,
                made AT TIME ZONE 'UTC', day, local, owner, stock, note) FROM product ORDER BY id
            """
        ).rows.map { try $0[0].string() }
        #expect(
            rows == [
                "19.99|20.0|0.1|0.1|t|ab.|{\"a,b\",ü}|{-3}|"
                    + #"{"a": "q\"\\\n", "z": 1.5, "made": "2023-11-14T22:13:20.123Z"}"#
                    + "|2023-11-14 22:13:20.5|2023-11-14|2023-11-14 22:13:21|65a00000000000000000009c|7|hello",
                "0.0000001|0.0|{}|1969-12-31 23:59:59.999|1969-12-31|1970-01-01 00:00:00|none", "none",
            ]
        )
        let again = try await bench.run(bench.job(settings), RunOptions(dryRun: true))
        #expect(again.summary?["counts"]?["unchangedProducts"] == 3, "\(again.summary?.text ?? "")")
        try await bench.execute("UPDATE product SET attributes = jsonb_set(attributes, '{z}', '1.6') WHERE stock = 7")
        let changed = try await bench.run(bench.job(settings), RunOptions(dryRun: true))
        #expect(changed.summary?["details"]?["staleProducts"]?.array?.first?["columns"] == ["attributes"])
        await bench.close()
    }
}
