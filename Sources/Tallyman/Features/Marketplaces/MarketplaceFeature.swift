import API
import Cron
import Engine
import Foundation
import HTTPClient
import Logging
import Marketplaces
import Postgres
import Runtime

/// Shopify and Amazon into the unified tables: on when `DATABASE_URL`, an account or `MOCK=1` is set.
struct MarketplaceFeature: FeatureSettings {
    static let featureName = "marketplaces"
    static let shopify: JobName = "shopify"
    static let amazon: JobName = "amazon"

    let database: PGSettings
    let accountID: String
    let country: String
    let accounts: MarketplaceAccounts
    /// Where synthetic accounts stand in for real ones.
    let mock: MarketplaceMock?
    let tokenKey: Secret<String>?
    let shopifySchedule: CronExpression
    let amazonSchedule: CronExpression

    var stateDatabase: PGSettings { database }

    func build(_ shared: SharedObjects) throws -> Feature {
        let pool = shared.databases.pool(database)
        let probe = shared.databases.probePool(database)
        let vault = try tokenKey.map { key in
            guard let vault = TokenVault(key: key, pool: pool) else {
                throw TallyError(
                    .settingsInvalid,
                    during: "settings",
                    "\(SettingName.tokenKey.rawValue) must be 32 bytes in base64 or hex"
                )
            }
            return vault
        }
        let zone = shared.schedule.zone
        var schedules: [ScheduleDefinition] = []
        if mock != nil || !accounts.shopify.isEmpty {
            schedules.append(ScheduleDefinition(job: Self.shopify, expression: shopifySchedule, timeZone: zone))
        }
        if mock != nil || !accounts.amazon.isEmpty {
            schedules.append(ScheduleDefinition(job: Self.amazon, expression: amazonSchedule, timeZone: zone))
        }
        let doctor = MarketplaceDoctor(settings: self, pool: pool)
        return Feature(
            name: Self.featureName,
            jobs: jobs(pool, vault, shared),
            schedules: schedules,
            cronVariables: [Self.shopify: .shopifyCronSchedule, Self.amazon: .amazonCronSchedule],
            databases: [
                FeatureDatabase(role: "marketplace", pool: pool, migrations: try MarketplaceMigrations.migrations())
            ],
            probes: [NamedProbe("marketplaceDatabase") { await DependencyProbe.postgres(probe) }],
            examine: { await doctor.examine() },
            grants: { MarketplaceDoctor.grants },
            shopifyHook: hook(pool)
        )
    }

    private func hook(_ pool: PGPool) -> (@Sendable (HookDelivery) async throws -> HookOutcome)? {
        let secrets = accounts.shopify.compactMap { account in
            account.clientSecret.map { (account.settings.shop, $0) }
        }
        guard !secrets.isEmpty else { return nil }
        let webhook = ShopifyWebhook(secrets: Dictionary(secrets, uniquingKeysWith: { first, _ in first }), pool: pool)
        return { delivery in
            switch try await webhook.receive(headers: delivery.headers, body: delivery.body) {
            case .kept: .kept
            case .duplicate: .duplicate
            case .unsigned: .unsigned
            case .stale: .refused("It was triggered too long ago, or in the future.")
            case .malformed: .refused("It lacks a topic, a webhook id, a time or the object's id.")
            }
        }
    }

    private func jobs(_ pool: PGPool, _ vault: TokenVault?, _ shared: SharedObjects) -> [any Job] {
        let logger = Logger(label: "marketplaces")
        let transport = URLSessionTransport(userAgent: "tallyman/\(ProcessSetup.version) (Language=Swift)")
        let shopify: MarketplaceJob.MakePulls
        let amazon: MarketplaceJob.MakePulls
        if let mock {
            shopify = MarketplaceJob.mockShopify(accountID: mock.accountID, country: mock.country, logger: logger)
            amazon = MarketplaceJob.mockAmazon(accountID: mock.accountID, marketplaces: mock.marketplaces)
        } else {
            shopify = MarketplaceJob.pulls(accounts.shopify, transport: transport, vault: vault, logger: logger)
            amazon = MarketplaceJob.pulls(accounts.amazon, transport: transport, vault: vault)
        }
        let state = shared.databases.pool(database)
        return [
            MarketplaceJob(name: Self.shopify, target: pool, state: state, pulls: shopify),
            MarketplaceJob(name: Self.amazon, target: pool, state: state, pulls: amazon),
        ]
    }
}

/// Whose synthetic data `MOCK=1` makes.
struct MarketplaceMock: Sendable {
    let accountID: String
    let country: String
    let marketplaces: [AmazonMarketplace]
}
