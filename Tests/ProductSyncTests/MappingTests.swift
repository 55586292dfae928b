import ProductSync
import Runtime
import Testing

@Suite struct MappingTests {
    @Test func readsEveryForm() throws {
        let mapping = try SyncMapping(
            yaml: """
                collection: goods
                table: shop.product
                key: id
                version: updatedAt
                columns:
                  title: title
                  updatedAt: updatedAt
                  category: {source: details.category, missing: error}
                  quantity: {source: stock, missing: 0}
                  note: {source: note, missing: "error"}
                """,
            file: "mapping.yaml"
        )
        #expect(mapping.collection == "goods")
        #expect(mapping.schema == "shop")
        #expect(mapping.table == "product")
        #expect(mapping.version == "updatedAt")
        #expect(
            mapping.columns.map(\.path) == [["title"], ["updatedAt"], ["details", "category"], ["stock"], ["note"]]
        )
        #expect(mapping.columns[2].missing == .reject)
        #expect(mapping.columns[3].missing == .literal(.int(0)))
        #expect(mapping.columns[4].missing == .literal(.string("error")))
        #expect(mapping.columns[2].line == 8)
    }

    @Test(arguments: [
        ("columns:\n  title: title\ncolour: red", "m.yaml:3: unknown key \"colour\""),
        ("table: product", "\"columns\" is missing"),
        ("columns:\n  title: {from: title}", "m.yaml:2: unknown key \"from\""),
        ("columns:\n  title: a..b", "m.yaml:2: a source path has an empty part"),
        ("columns:\n  id: title", "m.yaml:2: column \"id\" is the key"),
        ("version: v\ncolumns:\n  title: title", "m.yaml:1: \"version\" names \"v\""),
        ("table: a.b.c\ncolumns:\n  title: title", "m.yaml:1: \"table\""),
    ])
    func saysWhatIsWrongAndWhere(yaml: String, words: String) throws {
        let error = #expect(throws: TallyError.self) { try SyncMapping(yaml: yaml, file: "m.yaml") }
        #expect(error?.kind == .settingsInvalid)
        #expect(error?.summary.contains(words) == true, "\(error?.summary ?? "")")
    }

    @Test func orphanPolicies() {
        #expect(OrphanPolicy("report") == .report)
        #expect(OrphanPolicy("delete") == .delete)
        #expect(OrphanPolicy("mark:gone") == .mark(column: "gone"))
        #expect(OrphanPolicy("mark:") == nil)
        #expect(OrphanPolicy("remove") == nil)
    }
}
