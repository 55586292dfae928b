import ConfigFile
import Foundation
import Runtime
import TableExport
import TestKit
import Testing

/// Definition files: what they may say, and where an error points.
@Suite struct DefinitionTests {
    static let whole = """
        exports:
          - key: StatEvent
            batchSize: 5000
            source:
              schema: public
              table: stat_event
              cursor: {field: updated_at, idField: id}
              columns: '*'
            destination:
              schema: analytics_raw
              table: stat_event
              conflictColumns: [id]
            transform:
              rename: {kind: event_kind}
              columns: {is_widget: "source = 'widget'"}
              skip: "source_id is null"
            deletes: mark:gone_at
            lookback: 15 min
        """

    @Test func aWholeDefinitionIsRead() throws {
        let one = try #require(try ExportDefinitions.parse(Self.whole, file: "exports.yaml").first)
        #expect(one.key == "StatEvent")
        #expect(one.batchSize == 5_000)
        #expect(one.source.columns == nil)
        #expect(one.source.idField?.text == "id")
        #expect(one.destination.conflictColumns.map(\.text) == ["id"])
        #expect(one.transform.columns.first?.sql == "source = 'widget'")
        #expect(one.transform.skip?.place.line == 16)
        #expect(one.deletes == .mark(column: "gone_at"))
        #expect(one.lookback == .seconds(900))
    }

    @Test(arguments: [
        ("batchSize: 5000", "batchsize: 5000", "exports.yaml:3: unknown key \"batchsize\""),
        ("batchSize: 5000", "batchSize: lots", "exports.yaml:3: \"batchSize\" must be a whole number"),
        ("table: stat_event", "tables: stat_event", "exports.yaml:6: unknown key \"tables\""),
        ("deletes: mark:gone_at", "deletes: sometimes", "exports.yaml:17: \"deletes\" must be"),
        ("lookback: 15 min", "lookback: off", "exports.yaml:18: \"lookback\" must be"),
        ("skip: \"source_id is null\"", "swift: nobody", "exports.yaml:14: there is no Swift transform"),
        ("key: StatEvent", "key: [", "exports.yaml:"),
    ])
    func whatDoesNotBelongIsNamedWithItsLine(old: String, new: String, message: String) {
        let text = Self.whole.replacing(old, with: new)
        let error = #expect(throws: TallyError.self) { try ExportDefinitions.parse(text, file: "exports.yaml") }
        #expect(error?.kind == .settingsInvalid)
        #expect(error?.summary.hasPrefix(message) == true, "\(error?.summary ?? "")")
    }

    @Test func aKeyStandsOnce() {
        let twice = Self.whole + "\n" + Self.whole.split(separator: "\n").dropFirst().joined(separator: "\n")
        let error = #expect(throws: TallyError.self) { try ExportDefinitions.parse(twice, file: "e.yaml") }
        #expect(error?.summary == "e.yaml:19: the key \"StatEvent\" stands in e.yaml:2 too")
    }

    /// Without definitions every export is off, so a folder that cannot be read must not pass for an empty one.
    @Test func aFolderThatCannotBeReadIsNotEmpty() throws {
        let folder = FileManager.default.temporaryDirectory.appending(path: TestTag.fresh("exports"))
        #expect(try ExportDefinitions.read(folder: folder.path, transforms: []).isEmpty, "there is none")
        try FileManager.default.createDirectory(at: folder, withIntermediateDirectories: true)
        defer { try? FileManager.default.removeItem(at: folder) }
        #expect(try ExportDefinitions.read(folder: folder.path, transforms: []).isEmpty)
        try Data().write(to: folder.appending(path: "exports"))
        let error = #expect(throws: TallyError.self) {
            try ExportDefinitions.read(folder: folder.path, transforms: [])
        }
        #expect(error?.kind == .settingsInvalid)
    }
}
