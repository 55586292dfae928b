import API
import Cron
import Foundation
import HTTPServer
import Logging
import Mongo
import Postgres
import ProductSync
import Runtime

/// All settings of the daemon and its commands, read once and passed as values.
struct Settings: Sendable {
    /// Where products come from and where they go.
    struct Product: Sendable {
        let mongo: MongoSettings
        let cart: PGSettings
        let sync: ProductSyncSettings
    }

    struct Schedule: Sendable {
        let sync: CronExpression
        let healthCheck: CronExpression
        let zone: TimeZone
        let isEnabled: Bool
    }

    enum LogFormat: Sendable { case json, text }

    struct Log: Sendable {
        let format: LogFormat
        let level: Logger.Level
        /// LOG_LEVEL was given, so a command must not choose its own.
        let isLevelChosen: Bool
    }

    let product: Product
    let state: PGSettings
    let access: AccessSettings
    let http: HTTPServerConfiguration
    let schedule: Schedule
    let migrateOnStart: Bool
    let log: Log
}

extension Settings {
    /// Every setting, checked whole.
    ///
    /// - Throws: `SettingsInvalid` with every problem.
    static func read(_ reader: inout SettingsReader) throws -> Settings {
        let log = readLog(&reader)
        let product = readProduct(&reader)
        let state = readState(&reader, product: product)
        let access = readAccess(&reader)
        let host = readHost(&reader, hasKey: access.map { !$0.keys.isEmpty } ?? false)
        let port = reader.int(.port, in: 0...65_535, default: 4000)
        let http = readHTTP(&reader, host: host, port: port)
        let schedule = readSchedule(&reader)
        let migrate = reader.bool(.migrateOnStart, default: false)
        try reader.finish()
        guard let product, let state, let access, let schedule else { throw SettingsInvalid(problems: []) }
        return Settings(
            product: product,
            state: state,
            access: access,
            http: http,
            schedule: schedule,
            migrateOnStart: migrate,
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

    private static func readProduct(_ reader: inout SettingsReader) -> Product? {
        let mongo = readMongo(&reader)
        let cart = readDatabase(&reader, .cartDatabaseURL, required: true)
        let batchSize = reader.int(.syncBatchSize, in: RunOptionsBody.batchSizeRange, default: 100)
        let orphans = reader.parsed(
            .syncOrphans,
            default: "report",
            expected: "report, delete or mark:<column>",
            OrphanPolicy.init
        )
        let percent = reader.int(.syncMaxDeletePercent, in: 0...100, default: 5)
        let verify = reader.choice(.syncVerify, ["full": true, "tags": false], default: false)
        let mapping = readMapping(&reader)
        guard let mongo, let cart, let orphans, let mapping else { return nil }
        let sync = ProductSyncSettings(
            batchSize: batchSize,
            orphanPolicy: orphans,
            deletePercentMax: percent,
            verifyFull: verify,
            mapping: mapping
        )
        return Product(mongo: mongo, cart: cart, sync: sync)
    }

    private static func readMongo(_ reader: inout SettingsReader) -> MongoSettings? {
        guard let url = reader.secret(.productServiceMongoDBURL) else {
            reader.refuse(.productServiceMongoDBURL, "is required: mongodb://host:27017/product")
            return nil
        }
        do {
            return try MongoSettings(
                url: url,
                user: reader.secret(.mongoUser),
                password: reader.secret(.mongoPassword),
                applicationName: "tallyman"
            )
        } catch {
            let reason = TallyError.wrapping(error, during: "settings").summary
            reader.refuse(.productServiceMongoDBURL, "is not usable: \(reason)")
            return nil
        }
    }

    private static func readDatabase(_ reader: inout SettingsReader, _ name: SettingName, required: Bool) -> PGSettings?
    {
        guard let url = reader.secret(name) else {
            if required { reader.refuse(name, "is required: postgresql://user:password@host:5432/cart") }
            return nil
        }
        let isPostgres = url.expose { $0.hasPrefix("postgres://") || $0.hasPrefix("postgresql://") }
        guard isPostgres else {
            reader.refuse(name, "must be a URL that begins with postgresql:// or postgres://")
            return nil
        }
        return PGSettings(url: url, applicationName: "tallyman")
    }

    private static func readState(_ reader: inout SettingsReader, product: Product?) -> PGSettings? {
        reader.has(.stateDatabaseURL) ? readDatabase(&reader, .stateDatabaseURL, required: true) : product?.cart
    }

    private static func readMapping(_ reader: inout SettingsReader) -> SyncMapping? {
        guard let path = reader.string(.syncMapping) else { return .standard }
        guard let text = try? String(contentsOfFile: path, encoding: .utf8) else {
            reader.refuse(.syncMapping, "names a file that cannot be read")
            return nil
        }
        do {
            return try SyncMapping(yaml: text, file: path)
        } catch {
            reader.refuse(.syncMapping, TallyError.wrapping(error, during: "settings").summary)
            return nil
        }
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
        let expected = "a cron expression of five fields, such as */30 * * * *"
        let sync = reader.parsed(.syncCronSchedule, default: "*/30 * * * *", expected: expected) {
            try? CronExpression($0)
        }
        let health = reader.parsed(.healthCheckCronSchedule, default: "*/5 * * * *", expected: expected) {
            try? CronExpression($0)
        }
        let zone = reader.parsed(.timeZone, default: "UTC", expected: "an IANA time zone such as Europe/Berlin") {
            TimeZone(identifier: $0)
        }
        let isEnabled = reader.bool(.enableScheduler, default: true)
        guard let sync, let health, let zone else { return nil }
        return Schedule(sync: sync, healthCheck: health, zone: zone, isEnabled: isEnabled)
    }
}
