import API
import Cron
import Engine
import Foundation
import Logging
import Mongo
import Postgres
import ProductSync
import Runtime

/// Products from MongoDB to the cart's table: on when either side's URL is set.
struct ProductSyncFeature: FeatureSettings {
    static let featureName = "product sync"
    static let job: JobName = "product_sync"

    let mongo: MongoSettings
    let cart: PGSettings
    let sync: ProductSyncSettings
    let schedule: CronExpression

    var stateDatabase: PGSettings { cart }

    /// Sessions of the cart's pool: two for each shard at work and two for everything else, 34 at most.
    static func connections(shards: Int) -> Int { min(34, max(8, 2 * shards + 2)) }

    func build(_ shared: SharedObjects) throws -> Feature {
        let pool = shared.databases.pool(cart, maxConnections: Self.connections(shards: sync.shards))
        let probeCart = shared.databases.probePool(cart)
        let mongoPool = try MongoPool(mongo)
        let probeMongo = try MongoPool(mongo)
        let doctor = ProductSyncDoctor(settings: self, mongo: mongoPool, cart: pool)
        return Feature(
            name: Self.featureName,
            jobs: [ProductSyncJob(settings: sync, mongo: mongoPool, cart: pool)],
            schedules: [
                ScheduleDefinition(job: Self.job, expression: schedule, timeZone: shared.schedule.zone)
            ],
            cronVariables: [Self.job: .syncCronSchedule],
            databases: [FeatureDatabase(role: "cart", pool: pool)],
            probes: [
                NamedProbe("productMongodb") { await DependencyProbe.mongo(probeMongo) },
                NamedProbe("postgresql") { await DependencyProbe.postgres(probeCart) },
            ],
            examine: { await doctor.examine() },
            grants: { doctor.grants },
            stats: { [sync] in try await ProductStats.collect(mapping: sync.mapping, mongo: mongoPool, cart: pool) },
            difference: DifferenceReader(job: Self.job) { [sync] key in
                try await RowDifference.read(
                    key,
                    settings: sync,
                    mongo: mongoPool,
                    cart: pool,
                    logger: Logger(label: "difference")
                )
            },
            mongoPools: [("products", mongoPool)],
            close: {
                await mongoPool.close()
                await probeMongo.close()
            }
        )
    }
}

extension ProductSyncFeature {
    static func isOn(_ reader: SettingsReader) -> Bool {
        reader.has(.productServiceMongoDBURL) || reader.has(.cartDatabaseURL)
    }

    static func read(_ reader: inout SettingsReader) -> ProductSyncFeature? {
        let isOn = isOn(reader)
        let mongo = isOn ? readMongo(&reader) : nil
        let example = "postgresql://user:password@host:5432/cart"
        let cart = isOn ? reader.database(.cartDatabaseURL, required: example) : nil
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
        let shards = reader.int(.syncShards, in: ProductSyncSettings.shardsRange, default: 1)
        let schedule = reader.cron(.syncCronSchedule, default: "*/30 * * * *")
        guard let mongo, let cart, let orphans, let mapping, let schedule else { return nil }
        let sync = ProductSyncSettings(
            batchSize: batchSize,
            orphanPolicy: orphans,
            deletePercentMax: percent,
            verifyFull: verify,
            mapping: mapping,
            shards: shards
        )
        return ProductSyncFeature(mongo: mongo, cart: cart, sync: sync, schedule: schedule)
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
}
