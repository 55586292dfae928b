package import Postgres
package import Runtime

/// What every user of the feature must make in the same way.
package enum AnalyticsFeatureParts {
    /// Sessions for the source: read only, in UTC, planned for whole results, one a job and
    /// one to spare.
    ///
    /// Where there are fewer than jobs that run at once, a job waits its turn, for up to six hours.
    package static func sourcePool(_ url: Secret<String>, maxConnections: Int = 5) -> PGPool {
        PGPool(sourceSettings(url), maxConnections: maxConnections, acquireTimeout: .seconds(21_600))
    }

    /// A `timestamp` without a zone is read as UTC; a cursor is read to its end, so it is planned for that.
    package static func sourceSettings(_ url: Secret<String>) -> PGSettings {
        PGSettings(
            url: url,
            applicationName: "tallyman",
            readOnly: true,
            extra: ["TimeZone": "UTC", "cursor_tuple_fraction": "1", "jit": "off"]
        )
    }
}
