import API
import Analytics
import ConfigFile
import Cron
import Engine
import Foundation
import Postgres
import Runtime

/// The shop's daily figures in a warehouse, persons as tokens: on when either side's URL is set.
struct AnalyticsFeature: FeatureSettings {
    static let featureName = "shop analytics"

    let source: PGSettings
    let warehouse: PGSettings
    let analytics: AnalyticsSettings
    let sourceConnections: Int
    /// When each job is due.
    let schedules: [(job: JobName, expression: CronExpression)]

    var stateDatabase: PGSettings { warehouse }

    func build(_ shared: SharedObjects) throws -> Feature {
        let source = AnalyticsFeatureParts.sourcePool(source.url, maxConnections: sourceConnections)
        let pool = shared.databases.pool(warehouse)
        let probeSource = shared.databases.probePool(self.source)
        let probeWarehouse = shared.databases.probePool(warehouse)
        let doctor = AnalyticsDoctor(settings: self, source: source, warehouse: pool)
        var feature = Feature(
            name: Self.featureName,
            jobs: AnalyticsJob.all(settings: analytics, source: source, warehouse: pool) + [
                PersonalDataScan(settings: analytics, warehouse: pool),
                PersonErasure(warehouse: pool, statementTimeout: analytics.statementTimeout),
                KeyRotation(settings: analytics, source: source, warehouse: pool),
                MigrationReport(settings: analytics, source: source),
            ],
            schedules: schedules.map {
                ScheduleDefinition(job: $0.job, expression: $0.expression, timeZone: analytics.zone)
            },
            cronVariables: Self.cronVariables,
            databases: [
                FeatureDatabase(role: "shop_analytics", pool: pool, migrations: try AnalyticsMigrations.all())
            ],
            probes: [
                NamedProbe("analyticsSource") { await DependencyProbe.postgres(probeSource) },
                NamedProbe("analyticsWarehouse") { await DependencyProbe.postgres(probeWarehouse) },
                NamedProbe("analyticsTables", isConnection: false) {
                    await AnalyticsDoctor.probe(analytics, probeSource)
                },
            ],
            examine: { await doctor.examine() },
            atStart: { await doctor.flags() },
            grants: { await doctor.grants() },
            close: { await source.close() }
        )
        feature.zonedJobs = Set(schedules.map(\.job))
        return feature
    }
}

extension AnalyticsFeature {
    private static let keyBytesMin = 32

    /// Staggered after midnight, so that one session at the source would do.
    private static let crons: [(job: JobName, name: SettingName, expression: String)] = [
        ("user_analytics", .userAnalyticsCronSchedule, "10 0 * * *"),
        ("order_analytics", .orderAnalyticsCronSchedule, "20 0 * * *"),
        ("payment_analytics", .paymentAnalyticsCronSchedule, "30 0 * * *"),
        ("notification_analytics", .notificationAnalyticsCronSchedule, "40 0 * * *"),
        ("pii_scan", .piiScanCronSchedule, "30 2 * * *"),
    ]

    private static var cronVariables: [JobName: SettingName] {
        Dictionary(crons.map { ($0.job, $0.name) }, uniquingKeysWith: { first, _ in first })
    }

    static func isOn(_ reader: SettingsReader) -> Bool {
        reader.has(.analyticsSourceURL) || reader.has(.analyticsWarehouseURL)
    }

    static func read(_ reader: inout SettingsReader) -> AnalyticsFeature? {
        let isOn = isOn(reader)
        let source = isOn ? reader.database(.analyticsSourceURL, required: example("shop")) : nil
        let warehouse = isOn ? reader.database(.analyticsWarehouseURL, required: example("warehouse")) : nil
        let keys = readKeys(&reader, isOn: isOn)
        let zone = reader.parsed(
            .analyticsTimeZone,
            default: "UTC",
            expected: "an IANA time zone such as Europe/Berlin"
        ) { TimeZone(named: $0) }
        let lookback = reader.int(.analyticsLookbackDays, in: 0...92, default: 3)
        let churn = reader.int(.churnDays, in: 1...3_660, default: 30)
        let readsV1 = reader.bool(.enableV1Schema, default: true)
        let isLegacy = reader.bool(.enableLegacyETL, default: true)
        let percent = reader.int(.piiRotationMaxDeletePercent, in: 0...100, default: 5)
        let connections = reader.int(.analyticsSourceConnections, in: 1...16, default: 5)
        let schemas = reader.list(.analyticsScanSchemas)
        let statement = reader.parsed(
            .analyticsStatementTimeout,
            default: "1h",
            expected: "a span of time from 10s to 1d, such as 1h"
        ) { text in SpanText.seconds(text).flatMap { (10...86_400).contains($0) ? $0 : nil } }
        let schedules = readSchedules(&reader)
        guard let source, let warehouse, let keys, let zone, let schedules, let statement else { return nil }
        let analytics = AnalyticsSettings(
            zone: zone,
            lookbackDays: lookback,
            churnDays: churn,
            readsV1: readsV1,
            isLegacy: isLegacy,
            key: keys.present,
            previousKey: keys.previous,
            rotationDeletePercentMax: percent,
            statementTimeout: .seconds(statement),
            scannedSchemas: schemas.isEmpty ? ["public", "analytics", "etl"] : schemas
        )
        return AnalyticsFeature(
            source: source,
            warehouse: warehouse,
            analytics: analytics,
            sourceConnections: connections,
            schedules: schedules
        )
    }

    private static func example(_ database: String) -> String {
        "postgresql://user:password@host:5432/\(database)"
    }

    /// No key, no run: a random one would give a person other tokens with every start.
    private static func readKeys(
        _ reader: inout SettingsReader,
        isOn: Bool
    ) -> (present: TokenKey, previous: TokenKey?)? {
        let version = reader.int(.piiTokenKeyVersion, in: 1...9_999, default: 1)
        let previousVersion = reader.int(.piiTokenKeyPreviousVersion, in: 1...9_999, default: max(1, version - 1))
        for name in [SettingName.piiTokenKey, .piiTokenKeyPrevious] {
            let bytes = reader.secret(name)?.expose { $0.utf8.count } ?? keyBytesMin
            if bytes < keyBytesMin { reader.refuse(name, "must be at least \(keyBytesMin) bytes long") }
        }
        let previous = reader.secret(.piiTokenKeyPrevious)
        if previous != nil, previousVersion == version {
            reader.refuse(.piiTokenKeyPreviousVersion, "must differ from PII_TOKEN_KEY_VERSION")
        }
        guard isOn else { return nil }
        guard let key = reader.secret(.piiTokenKey) else {
            reader.refuse(.piiTokenKey, "is required: without it persons cannot be made tokens")
            return nil
        }
        return (
            TokenKey(version: version, secret: key), previous.map { TokenKey(version: previousVersion, secret: $0) }
        )
    }

    private static func readSchedules(_ reader: inout SettingsReader) -> [(job: JobName, expression: CronExpression)]? {
        var schedules: [(job: JobName, expression: CronExpression)] = []
        for (job, name, fallback) in crons {
            if let expression = reader.cron(name, default: fallback) { schedules.append((job, expression)) }
        }
        return schedules.count == crons.count ? schedules : nil
    }
}
