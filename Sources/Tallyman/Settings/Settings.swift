import API
import ConfigFile
import Cron
import Engine
import Foundation
import HTTPServer
import Logging
import Postgres
import Runtime
import Telemetry

/// All settings of the daemon and its commands, read once and passed as values.
struct Settings: Sendable {
    struct Schedule: Sendable {
        let healthCheck: CronExpression
        let zone: TimeZone
        let isEnabled: Bool
        /// The variables among those of schedules that were given: what `jobs.yaml` cannot change.
        let given: Set<SettingName>
    }

    struct Log: Sendable {
        let format: LogFormat
        let level: Logger.Level
        /// LOG_LEVEL was given, so a command must not choose its own.
        let isLevelChosen: Bool
    }

    /// Those whose settings are there, in the order of `FeatureList`.
    let features: [any FeatureSettings]
    let state: PGSettings
    let access: AccessSettings
    let http: HTTPServerConfiguration
    /// A port that answers `/metrics` only.
    let metricsPort: Int?
    let schedule: Schedule
    /// Where `jobs.yaml` and other files of operators are.
    let configFolder: String
    let runs: RunSettings
    let retention: RetentionPolicy
    let alerts: Alerting
    let migrateOnStart: Bool
    /// Where an operator's own migrations stand.
    let migrationsFolder: String
    let log: Log
}

extension Settings {
    /// Every setting, checked whole.
    ///
    /// - Throws: `SettingsInvalid` with every problem.
    static func read(_ reader: inout SettingsReader) throws -> Settings {
        let log = readLog(&reader)
        let features = FeatureList.read(&reader)
        let state = readState(&reader, features)
        let access = readAccess(&reader)
        let host = readHost(&reader, hasKey: access.map { !$0.keys.isEmpty } ?? false)
        let port = reader.int(.port, in: 0...65_535, default: 4000)
        let http = readHTTP(&reader, host: host, port: port)
        let metricsPort = reader.has(.metricsPort) ? reader.int(.metricsPort, in: 1...65_535, default: 9_464) : nil
        if let metricsPort, metricsPort == port { reader.refuse(.metricsPort, "must be another port than PORT") }
        let schedule = readSchedule(&reader)
        let folder = readConfigFolder(&reader)
        let runs = readRuns(&reader)
        let retention = RetentionPolicy(
            days: reader.int(.historyDays, in: 1...3_660, default: 90),
            runsPerJob: reader.int(.historyRunsPerJob, in: 10...1_000_000, default: 10_000)
        )
        let alerts = readAlerts(&reader)
        let migrate = reader.bool(.migrateOnStart, default: false)
        try reader.finish()
        guard let state, let access, let schedule else { throw SettingsInvalid(problems: []) }
        return Settings(
            features: features,
            state: state,
            access: access,
            http: http,
            metricsPort: metricsPort,
            schedule: schedule,
            configFolder: folder,
            runs: runs,
            retention: retention,
            alerts: alerts,
            migrateOnStart: migrate,
            migrationsFolder: reader.string(.migrationsDir) ?? "migrations",
            log: log
        )
    }

    static func readLog(_ reader: inout SettingsReader) -> Log {
        let isDevelopment =
            (reader.string(.appEnv) ?? reader.string(.nodeEnv) ?? "development").lowercased() == "development"
        let format = reader.choice(
            .logFormat,
            ["json": LogFormat.json, "text": .text],
            default: isDevelopment ? .text : .json
        )
        let levels = Dictionary(uniqueKeysWithValues: Logger.Level.allCases.map { ($0.rawValue, $0) })
        let level = reader.choice(.logLevel, levels, default: isDevelopment ? .debug : .info)
        return Log(format: format, level: level, isLevelChosen: reader.has(.logLevel))
    }

    /// The first configured feature's target unless a variable names another database.
    private static func readState(_ reader: inout SettingsReader, _ features: [any FeatureSettings]) -> PGSettings? {
        if reader.has(.stateDatabaseURL) { return reader.database(.stateDatabaseURL, required: "") }
        if let first = features.first { return first.stateDatabase }
        // Nothing is configured at all: say how the main job is.
        if !FeatureList.all.contains(where: { $0.isOn(reader) }) {
            reader.refuse(.productServiceMongoDBURL, "is required: mongodb://host:27017/product")
            reader.refuse(.cartDatabaseURL, "is required: postgresql://user:password@host:5432/cart")
        }
        return nil
    }

    private static func readAccess(_ reader: inout SettingsReader) -> AccessSettings? {
        let keys = [reader.secret(.jwtKey), reader.secret(.jwtKeyPrevious)].compactMap { $0 }
        if reader.has(.jwtKeyPrevious), !reader.has(.jwtKey) {
            reader.refuse(.jwtKeyPrevious, "needs JWT_KEY beside it")
        }
        let origins = reader.list(.corsOrigins)
        for origin in origins
        where !(origin.hasPrefix("http://") || origin.hasPrefix("https://")) || origin.hasSuffix("/") {
            reader.refuse(.corsOrigins, "must list origins such as https://ops.example.com, with commas between")
        }
        let age = reader.int(.jwtCookieMaxAge, in: 60...31_536_000, default: 86_400)
        return AccessSettings(
            keys: keys,
            issuer: reader.string(.jwtIssuer),
            audience: reader.string(.jwtAudience),
            cookieAgeMaxSeconds: age,
            metricsToken: reader.secret(.metricsToken),
            corsOrigins: origins
        )
    }

    private static func readHost(_ reader: inout SettingsReader, hasKey: Bool) -> String {
        let host = reader.string(.host) ?? (hasKey ? "0.0.0.0" : "127.0.0.1")
        let bare = host == "::1" ? "[::1]" : host
        if !hasKey, !BrowserGuard.isLoopback(host: bare) {
            reader.refuse(.host, "must be a loopback address while JWT_KEY is not set")
        }
        return host
    }

    private static func readSchedule(_ reader: inout SettingsReader) -> Schedule? {
        let health = reader.cron(.healthCheckCronSchedule, default: "*/5 * * * *")
        let zone = reader.parsed(.timeZone, default: "UTC", expected: "an IANA time zone such as Europe/Berlin") {
            TimeZone(named: $0)
        }
        let isEnabled = reader.bool(.enableScheduler, default: true)
        guard let health, let zone else { return nil }
        let given = SettingName.allCases.filter { reader.has($0) }
        return Schedule(healthCheck: health, zone: zone, isEnabled: isEnabled, given: Set(given))
    }

    private static func readConfigFolder(_ reader: inout SettingsReader) -> String {
        guard let folder = reader.string(.configFolder) else { return "config" }
        if (try? FileManager.default.contentsOfDirectory(atPath: folder)) == nil {
            reader.refuse(.configFolder, "must name a folder that exists and may be read")
        }
        return folder
    }

    private static func readRuns(_ reader: inout SettingsReader) -> RunSettings {
        let stall = reader.parsed(
            .stallTimeout,
            default: "10m",
            expected: "a span of time from 10s to 1d, such as 10m, or off"
        ) { text -> Int?? in
            if text == "off" { return .some(nil) }
            return SpanText.seconds(text).flatMap { (10...86_400).contains($0) ? .some($0) : nil }
        }
        let keepsPayloads = reader.choice(.deadLetterPayload, ["key": false, "full": true], default: false)
        var settings = RunSettings(keepsPayloads: keepsPayloads)
        if let stall { settings.stallTimeout = stall.map { .seconds($0) } }
        return settings
    }
}
