/// Every feature there is, in the order people read about them; a new one is added here and nowhere else.
enum FeatureList {
    static let all: [any FeatureSettings.Type] = [
        ProductSyncFeature.self, MarketplaceFeature.self, TableExportFeature.self, RetailFeature.self,
        AnalyticsFeature.self,
    ]

    /// The features whose settings are there.
    static func read(_ reader: inout SettingsReader) -> [any FeatureSettings] {
        var configured: [any FeatureSettings] = []
        for feature in all {
            if let settings = feature.read(&reader) { configured.append(settings) }
        }
        return configured
    }
}
