package import Foundation

/// What the analytics are told: days, thresholds, which tables to read, the key of the tokens.
package struct AnalyticsSettings: Sendable {
    package let zone: TimeZone
    /// So many days after its own a day is computed again, for late data.
    package let lookbackDays: Int
    /// A user without activity for so many days has churned.
    package let churnDays: Int
    /// Read the v1 tables, which hold personal data, instead of the v2 tables.
    package let readsV1: Bool
    /// Fill the per-user columns of the service replaced.
    package let isLegacy: Bool
    package let key: TokenKey
    /// The key before the last rotation, while its tokens are being replaced.
    package let previousKey: TokenKey?
    /// Percent of a table's rows, 0 to 100, that a rotation of the key may remove: the source has nobody for them.
    package let rotationDeletePercentMax: Int
    /// How long one statement may take; those that say nothing meanwhile are no stall until then.
    package let statementTimeout: Duration
    /// Schemas of the warehouse that the scan for personal data looks through.
    package let scannedSchemas: [String]

    package init(
        zone: TimeZone,
        lookbackDays: Int,
        churnDays: Int,
        readsV1: Bool,
        isLegacy: Bool,
        key: TokenKey,
        previousKey: TokenKey? = nil,
        rotationDeletePercentMax: Int = 5,
        statementTimeout: Duration = .seconds(3_600),
        scannedSchemas: [String] = ["public", "analytics", "etl"]
    ) {
        self.zone = zone
        self.lookbackDays = lookbackDays
        self.churnDays = churnDays
        self.readsV1 = readsV1
        self.isLegacy = isLegacy
        self.key = key
        self.previousKey = previousKey
        self.rotationDeletePercentMax = rotationDeletePercentMax
        self.statementTimeout = statementTimeout
        self.scannedSchemas = scannedSchemas
    }

    package var schema: SourceSchema { readsV1 ? .v1 : .v2 }
}
