import API
import Cron
import Engine
import Foundation
import HTTPClient
import Postgres
import Retail
import Runtime

/// The source's API to bronze, silver and gold: on when the warehouse's URL is set.
struct RetailFeature: FeatureSettings {
    static let featureName = "retail"
    static let job: JobName = "retail"

    let warehouse: PGSettings
    let base: URL
    let key: Secret<String>?
    let retail: RetailSettings
    let gold: GoldSettings
    let docsFolder: String
    let schedule: CronExpression

    var stateDatabase: PGSettings { warehouse }

    /// The source's API through a transport of its own.
    func api() -> RetailAPI {
        RetailAPI(
            base: base,
            key: key,
            transport: URLSessionTransport(userAgent: "tallyman/\(ProcessSetup.version)", connectionsPerHostMax: 2)
        )
    }

    func build(_ shared: SharedObjects) throws -> Feature {
        let pool = shared.databases.pool(warehouse)
        let probe = shared.databases.probePool(warehouse)
        let job = RetailJob(
            settings: retail,
            warehouse: pool,
            api: api(),
            gold: gold
        )
        let doctor = RetailDoctor(settings: self, warehouse: pool, isScheduled: shared.schedule.isEnabled)
        var feature = Feature(
            name: Self.featureName,
            jobs: [job],
            schedules: [ScheduleDefinition(job: Self.job, expression: schedule, timeZone: shared.schedule.zone)],
            cronVariables: [Self.job: .retailCronSchedule],
            databases: [
                FeatureDatabase(role: "warehouse", pool: pool, migrations: try RetailMigrations.migrations())
            ],
            probes: [NamedProbe("warehouse") { await DependencyProbe.postgres(probe) }],
            examine: { await doctor.examine() },
            grants: {
                [
                    "GRANT CONNECT, CREATE, TEMPORARY ON DATABASE <database> TO <role>;",
                    "GRANT USAGE ON SCHEMA silver, meta TO <role>;",
                    "GRANT SELECT, INSERT, UPDATE, DELETE ON ALL TABLES IN SCHEMA silver, meta TO <role>;",
                ]
            }
        )
        let documentation = documentation
        feature.documentation = [
            DocumentationPage(name: Self.featureName, remedy: "Run `tallyman docs`; it needs dbt.") {
                documentation.page()
            }
        ]
        return feature
    }

    var documentation: DBTDocumentation { DBTDocumentation(settings: gold, folder: docsFolder) }
}

extension RetailFeature {
    static func isOn(_ reader: SettingsReader) -> Bool { reader.has(.retailDatabaseURL) }

    static func read(_ reader: inout SettingsReader) -> RetailFeature? {
        let isOn = isOn(reader)
        let warehouse = isOn ? reader.database(.retailDatabaseURL, required: nil) : nil
        let base = readBase(&reader, isOn: isOn)
        let schedule = reader.cron(.retailCronSchedule, default: "0 * * * *")
        let start = reader.int(.startSalesID, in: 0...Int.max, default: 1)
        let limit = reader.int(.salesLimit, in: 1...100_000, default: 250)
        let lookback = reader.int(.retailLookback, in: 0...100_000_000, default: 1_000)
        let gap = reader.int(.salesIDGapMax, in: 1...Int.max, default: 1_000_000)
        let compression = reader.choice(
            .bronzeCompress,
            ["none": BronzeCompression.none, "gzip": .gzip, "zstd": .zstd],
            default: .none
        )
        let retention = reader.parsed(
            .bronzeRetention,
            default: "forever",
            expected: "a number of days such as 90d, or forever",
            BronzeRetention.init
        )
        guard let warehouse, let base, let schedule, let retention else { return nil }
        let retail = RetailSettings(
            startSalesID: Int64(start),
            salesLimit: limit,
            lookback: Int64(lookback),
            idGapMax: Int64(gap),
            bronzeFolder: reader.string(.bronzeDir) ?? "data/bronze",
            compression: compression,
            retentionDays: retention.days
        )
        let gold = GoldSettings(
            executable: reader.string(.dbtExecutable) ?? "dbt",
            profilesFolder: reader.string(.dbtProfilesDir),
            database: warehouse.url,
            hiddenVariables: SettingName.allCases.map(\.rawValue)
        )
        return RetailFeature(
            warehouse: warehouse,
            base: base,
            key: reader.secret(.apiKey),
            retail: retail,
            gold: gold,
            docsFolder: reader.string(.dbtDocsDir) ?? "data/dbt-docs",
            schedule: schedule
        )
    }

    private static func readBase(_ reader: inout SettingsReader, isOn: Bool) -> URL? {
        guard reader.has(.apiBaseURL) else {
            if isOn { reader.refuse(.apiBaseURL, "is required: http://host:4010") }
            return nil
        }
        return reader.parsed(.apiBaseURL, default: "", expected: "a URL that begins with http:// or https://") { text in
            guard let url = URL(string: text), ["http", "https"].contains(url.scheme), url.host != nil else {
                return nil
            }
            return url
        }
    }
}

/// How long loaded files are kept: `90d`, or `forever`.
struct BronzeRetention: Sendable, Equatable {
    /// nil keeps them for good.
    let days: Int?

    init?(_ text: String) {
        guard text != "forever" else {
            days = nil
            return
        }
        guard text.hasSuffix("d"), let number = Int(text.dropLast()), (1...36_500).contains(number) else { return nil }
        days = number
    }
}
