import API
import Engine
import Foundation
import Logging
import Mongo
import Postgres
import ProductSync
import Runtime
import ServiceLifecycle
import Telemetry

/// The daemon's objects, made once from the settings; commands take what they need of it.
final class Graph: Sendable {
    static let productSync: JobName = "product_sync"

    let settings: Settings
    let logger: Logger
    let cart: PGPool
    let state: PGPool
    /// Probes have sessions of their own: a busy pool must not make the daemon look dead.
    let probeCart: PGPool
    let probeMongo: MongoPool
    let mongo: MongoPool
    let jobs: [any Job]
    let runner: JobRunner
    let ledger: Ledger
    let scheduler: Scheduler
    let migrations: DatabaseMigrations
    let startedAt = Date()

    init(_ settings: Settings, isDaemon: Bool = false) throws {
        self.settings = settings
        logger = Logger(label: "tallyman")
        let cart = PGPool(settings.product.cart, maxConnections: 8)
        self.cart = cart
        let sharesDatabase = settings.state.databaseLabel == settings.product.cart.databaseLabel
        let state = sharesDatabase ? cart : PGPool(settings.state, maxConnections: 6)
        self.state = state
        probeCart = PGPool(settings.product.cart.forProbes, maxConnections: 2, acquireTimeout: .seconds(2))
        let mongo = try MongoPool(settings.product.mongo)
        self.mongo = mongo
        probeMongo = try MongoPool(settings.product.mongo)
        let health = HealthCheckJob(mongo: probeMongo, cart: probeCart)
        let jobs: [any Job] = [
            ProductSyncJob(settings: settings.product.sync, mongo: mongo, cart: cart), health,
        ]
        self.jobs = jobs
        runner = JobRunner(
            state: state,
            jobs: jobs,
            holder: ProcessSetup.holder,
            failpoint: ProcessSetup.failpoint,
            logger: Logger(label: "engine")
        )
        ledger = Ledger(state: state)
        let schedule = settings.schedule
        scheduler = Scheduler(
            state: state,
            runner: runner,
            schedules: [
                ScheduleDefinition(job: Self.productSync, expression: schedule.sync, timeZone: schedule.zone),
                ScheduleDefinition(job: health.name, expression: schedule.healthCheck, timeZone: schedule.zone),
            ],
            enabledAtStart: schedule.isEnabled,
            holder: ProcessSetup.holder,
            logger: Logger(label: "scheduler")
        )
        migrations = try DatabaseMigrations(sharesDatabase ? [cart] : [cart, state])
    }

    var runnerService: any Service { UntilShutdown { [runner] in try await runner.run() } }
    var schedulerService: any Service { UntilShutdown { [scheduler] in try await scheduler.run() } }

    /// What the HTTP routes and the status command reach.
    func ports(draining: DrainMark? = nil) -> APIPorts {
        let product = settings.product
        let (mongo, cart, scrape) = (mongo, cart, scrape)
        return APIPorts(
            runs: EngineRuns(jobs: jobs, runner: runner, ledger: ledger),
            scheduler: EngineScheduler(scheduler: scheduler),
            deadLetters: EngineDeadLetters(target: cart),
            probes: probes,
            stats: { try await ProductStats.collect(mapping: product.sync.mapping, mongo: mongo, cart: cart) },
            info: ServiceInfo(version: ProcessSetup.version, startedAt: startedAt, memory: { MachineMemory.use() }),
            metricsText: { scrape.page() },
            isDraining: { draining?.isSet ?? false }
        )
    }

    var scrape: ScrapeMetrics {
        var pools = [("cart", cart)]
        if state !== cart { pools.append(("state", state)) }
        return ScrapeMetrics(postgres: pools, mongo: [("products", mongo)], startedAt: startedAt)
    }

    private var probes: ServiceProbes {
        let (probeMongo, probeCart, migrations) = (probeMongo, probeCart, migrations)
        return ServiceProbes(
            productMongodb: { await DependencyProbe.mongo(probeMongo) },
            postgresql: { await DependencyProbe.postgres(probeCart) },
            migrations: { await migrations.probe(over: probeCart) }
        )
    }

    /// Closes every session; safe to call once at the end of a command.
    func close() async {
        await mongo.close()
        await probeMongo.close()
        await probeCart.close()
        await state.close()
        await cart.close()
    }
}

extension PGSettings {
    /// The same database with limits that suit a probe.
    var forProbes: PGSettings {
        PGSettings(
            url: url,
            applicationName: applicationName,
            connectTimeout: .seconds(2),
            statementTimeout: .seconds(2)
        )
    }
}
