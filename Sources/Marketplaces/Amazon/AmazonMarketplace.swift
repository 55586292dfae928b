package import Foundation
import Runtime

/// The regions of the Selling Partner API, each with its own host.
package enum AmazonRegion: String, Sendable, CaseIterable {
    case northAmerica = "na"
    case europe = "eu"
    case farEast = "fe"

    package func url(isSandbox: Bool) -> URL? {
        URL(string: "https://\(isSandbox ? "sandbox." : "")sellingpartnerapi-\(rawValue).amazon.com")
    }
}

/// One of Amazon's shops: where it is, what it counts in and when its day begins.
package struct AmazonMarketplace: Sendable, Hashable {
    package let id: String
    package let country: String
    package let region: AmazonRegion
    package let currency: String
    package let zone: TimeZone

    /// nil for an id or a country code that is none of Amazon's.
    package init?(_ name: String) {
        guard let row = Self.table.first(where: { $0.id == name || $0.country == name.uppercased() }),
            let zone = TimeZone(named: row.zone)
        else { return nil }
        (id, country, region, currency) = (row.id, row.country, row.region, row.currency)
        self.zone = zone
    }

    package static var ids: [String] { table.map(\.id) }

    private typealias Row = (id: String, country: String, region: AmazonRegion, currency: String, zone: String)
    /// https://developer-docs.amazon.com/sp-api/docs/marketplace-ids
    private static let table: [Row] = [
        ("A2EUQ1WTGCTBG2", "CA", .northAmerica, "CAD", "America/Los_Angeles"),
        ("ATVPDKIKX0DER", "US", .northAmerica, "USD", "America/Los_Angeles"),
        ("A1AM78C64UM0Y8", "MX", .northAmerica, "MXN", "America/Los_Angeles"),
        ("A2Q3Y263D00KWC", "BR", .northAmerica, "BRL", "America/Sao_Paulo"),
        ("A28R8C7NBKEWEA", "IE", .europe, "EUR", "Europe/Dublin"),
        ("A1RKKUPIHCS9HS", "ES", .europe, "EUR", "Europe/Madrid"),
        ("A1F83G8C2ARO7P", "UK", .europe, "GBP", "Europe/London"),
        ("A13V1IB3VIYZZH", "FR", .europe, "EUR", "Europe/Paris"),
        ("AMEN7PMS3EDWL", "BE", .europe, "EUR", "Europe/Brussels"),
        ("A1805IZSGTT6HS", "NL", .europe, "EUR", "Europe/Amsterdam"),
        ("A1PA6795UKMFR9", "DE", .europe, "EUR", "Europe/Berlin"),
        ("APJ6JRA9NG5V4", "IT", .europe, "EUR", "Europe/Rome"),
        ("A2NODRKZP88ZB9", "SE", .europe, "SEK", "Europe/Stockholm"),
        ("AE08WJ6YKNBMC", "ZA", .europe, "ZAR", "Africa/Johannesburg"),
        ("A1C3SOZRARQ6R3", "PL", .europe, "PLN", "Europe/Warsaw"),
        ("ARBP9OOSHTCHU", "EG", .europe, "EGP", "Africa/Cairo"),
        ("A33AVAJ2PDY3EV", "TR", .europe, "TRY", "Europe/Istanbul"),
        ("A17E79C6D8DWNP", "SA", .europe, "SAR", "Asia/Riyadh"),
        ("A2VIGQ35RCS4UG", "AE", .europe, "AED", "Asia/Dubai"),
        ("A21TJRUUN4KGV", "IN", .europe, "INR", "Asia/Kolkata"),
        ("A19VAU5U5O7RUS", "SG", .farEast, "SGD", "Asia/Singapore"),
        ("A39IBJ37TRP1C6", "AU", .farEast, "AUD", "Australia/Sydney"),
        ("A1VC38T7YXB528", "JP", .farEast, "JPY", "Asia/Tokyo"),
    ]
}
