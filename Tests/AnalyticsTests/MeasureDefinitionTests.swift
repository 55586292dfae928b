import Analytics
import Foundation
import TestKit
import Testing

/// docs/analytics.md defines what the warehouse holds: a paragraph and a formula each.
@Suite struct MeasureDefinitionTests {
    private static let page = URL(filePath: #filePath).deletingLastPathComponent()
        .appending(path: "../../docs/analytics.md").standardizedFileURL

    /// The sections of the chapter on measures: heading, paragraphs, formula.
    private static func sections() throws -> [(heading: String, paragraph: String, formula: String)] {
        let text = try String(contentsOf: page, encoding: .utf8)
        let chapter = try #require(text.split(separator: "\n## ").first { $0.hasPrefix("Measures\n") })
        return chapter.split(separator: "\n### ").dropFirst().map { section in
            let lines = section.split(separator: "\n", omittingEmptySubsequences: false).map(String.init)
            let body = lines.dropFirst()
            return (
                lines[0], body.filter { !$0.hasPrefix(">") }.joined(separator: "\n"),
                body.filter { $0.hasPrefix("> ") }.joined(separator: "\n")
            )
        }
    }

    @Test func everyTableHasAParagraphAndAFormula() throws {
        let sections = try Self.sections()
        #expect(sections.count >= 15)
        for section in sections {
            #expect(section.paragraph.count > 60, "\(section.heading) has no paragraph")
            #expect(section.formula.contains("="), "\(section.heading) has no formula")
        }
        for measure in Measure.all {
            let table = measure.table.replacing("public.", with: "")
            #expect(sections.contains { $0.heading.contains("`\(table)`") }, "\(table) has no section")
        }
    }

    @Test func everyViewIsNamed() async throws {
        let shop = try await AnalyticsShop()
        let views = try shop.postgres.psql(
            shop.warehouseURL,
            "SELECT oid::regclass FROM pg_class WHERE relkind = 'v' "
                + "AND relnamespace::regnamespace::text IN ('public', 'analytics')"
        ).split(separator: "\n")
        #expect(views.count >= 6)
        let chapter = try Self.sections().map { $0.heading + $0.paragraph + $0.formula }.joined()
        for view in views { #expect(chapter.contains("`\(view)`"), "\(view) is not explained") }
        await shop.close()
    }
}
