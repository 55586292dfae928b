/// The transforms that are written in Swift, by the name `transform: {swift: …}` calls them.
///
/// A new one is a file beside this and a line here.
package enum ExportTransforms {
    package static let all: [String: ExportTransform] = [
        "campaign": CampaignTransform.apply
    ]
}
