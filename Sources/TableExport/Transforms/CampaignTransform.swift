import Foundation
import Runtime

/// Takes the campaign out of a visited address: `url` gives `utm_source`, `utm_medium` and `utm_campaign`.
///
/// SQL has no way to undo percent-encoding. A row without `url` passes as it is; one whose `url` is no URL is bad.
enum CampaignTransform {
    static let columns = ["utm_source", "utm_medium", "utm_campaign"]

    static func apply(_ row: ExportRow) throws -> ExportRow? {
        guard let text = try row.text("url") else { return row }
        guard let parts = URLComponents(string: text) else {
            throw TallyError(.recordMalformed, during: "export.transform", "column \"url\" is no URL")
        }
        var row = row
        for column in columns {
            // A plus is a space in a query that a form wrote; URLComponents leaves it.
            let value = parts.queryItems?.first { $0.name == column }?.value?.replacing("+", with: " ")
            try row.set(column, to: value)
        }
        return row
    }
}
