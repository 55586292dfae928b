import API
import Engine
import Mongo
import Postgres
import Runtime

/// The settings of one feature, read once; a feature whose settings are absent is off.
protocol FeatureSettings: Sendable {
    /// What people call it.
    static var featureName: String { get }
    /// Whether somebody wants it: the variable it cannot do without is set.
    static func isOn(_ reader: SettingsReader) -> Bool
    /// nil when the feature is off; what is wrong is refused by the variable's name, also while it is off.
    static func read(_ reader: inout SettingsReader) -> Self?
    /// The database that holds the engine's state when `STATE_DATABASE_URL` names none.
    var stateDatabase: PGSettings { get }
    /// Makes the feature's objects. Throws `.settingsInvalid` for what only shows now.
    func build(_ shared: SharedObjects) throws -> Feature
}

/// What one feature brings to the daemon.
struct Feature: Sendable {
    let name: String
    let jobs: [any Job]
    /// Pages about its data that the daemon shows.
    var documentation: [DocumentationPage] = []
    /// When its jobs are due unless settings say otherwise.
    let schedules: [ScheduleDefinition]
    /// The environment variables that give expressions, by job: where one is set, `jobs.yaml` does not change it.
    let cronVariables: [JobName: SettingName]
    /// Jobs of which people want to read every run's figures, where alerts are on.
    let reportedJobs: [JobName]
    /// The databases it writes; the engine's tables are made in each.
    let databases: [FeatureDatabase]
    /// Questions to what it depends on, by the name `/health` shows.
    let probes: [NamedProbe]
    /// Looks at what its jobs need and says what to do about what it finds.
    let examine: @Sendable () async -> [Doctor.Finding]
    /// What of that is looked at when the daemon starts, and only logged; nil for nothing.
    let atStart: (@Sendable () async -> [Doctor.Finding])?
    /// GRANT statements that give a role what the feature needs, and no more.
    let grants: @Sendable () async -> [String]
    /// Jobs whose schedules are in a zone of the feature's own: neither `TIMEZONE` nor the file's zone moves them.
    var zonedJobs: Set<JobName> = []
    /// Counts and sizes of both sides for `/stats`; nil where the feature has none.
    let stats: (@Sendable () async throws -> JSONValue)?
    /// Shows one record of its job on both sides; nil where the feature cannot.
    let difference: DifferenceReader?
    /// Pools of MongoDB clients by the name their gauges carry.
    let mongoPools: [(name: String, pool: MongoPool)]
    /// Takes webhooks of Shopify; nil where the feature has none.
    let shopifyHook: (@Sendable (HookDelivery) async throws -> HookOutcome)?
    /// Ends every session that is not one of `databases`.
    let close: @Sendable () async -> Void

    init(
        name: String,
        jobs: [any Job],
        schedules: [ScheduleDefinition],
        cronVariables: [JobName: SettingName] = [:],
        reportedJobs: [JobName] = [],
        databases: [FeatureDatabase],
        probes: [NamedProbe] = [],
        examine: @escaping @Sendable () async -> [Doctor.Finding] = { [] },
        atStart: (@Sendable () async -> [Doctor.Finding])? = nil,
        grants: @escaping @Sendable () async -> [String] = { [] },
        stats: (@Sendable () async throws -> JSONValue)? = nil,
        difference: DifferenceReader? = nil,
        mongoPools: [(name: String, pool: MongoPool)] = [],
        shopifyHook: (@Sendable (HookDelivery) async throws -> HookOutcome)? = nil,
        close: @escaping @Sendable () async -> Void = {}
    ) {
        self.shopifyHook = shopifyHook
        self.name = name
        self.jobs = jobs
        self.schedules = schedules
        self.cronVariables = cronVariables
        self.reportedJobs = reportedJobs
        self.databases = databases
        self.probes = probes
        self.examine = examine
        self.atStart = atStart
        self.grants = grants
        self.stats = stats
        self.difference = difference
        self.mongoPools = mongoPools
        self.close = close
    }
}

/// A database that a feature writes, with the migrations it needs beyond the engine's.
struct FeatureDatabase: Sendable {
    /// What it is to the shop: `cart`, `marketplace`, `analytics`, `warehouse`. Names its dead letters and metrics.
    let role: String
    let pool: PGPool
    let migrations: [PGMigration]

    init(role: String, pool: PGPool, migrations: [PGMigration] = []) {
        self.role = role
        self.pool = pool
        self.migrations = migrations
    }
}

/// What features share: one pool a database however many use it, and the zone of their schedules.
struct SharedObjects: Sendable {
    let databases: DatabasePools
    let schedule: Settings.Schedule
}
