import API
import ConfigFile
import Cron
import Engine
import Postgres
import Runtime
import TableExport

/// Tables of one PostgreSQL server to another: on when either side's URL is set.
struct TableExportFeature: FeatureSettings {
    static let featureName = "table exports"
    static let folderDefault = "config"
    /// Exports at the same time; each holds a session on both sides, and one more to set rows aside.
    static let runsMax = 3

    struct Scheduled: Sendable {
        let definition: ExportDefinition
        /// nil for an export that only runs when asked.
        let schedule: CronExpression?
    }

    let core: PGSettings
    let analytics: PGSettings
    /// Over what definitions say.
    let batchSize: Int?
    let exports: [Scheduled]

    var stateDatabase: PGSettings { analytics }

    func build(_ shared: SharedObjects) throws -> Feature {
        // Sessions of the source cannot write, whatever they are told.
        let source = PGPool(core, maxConnections: Self.runsMax + 1)
        let target = shared.databases.pool(analytics)
        let probes = (shared.databases.probePool(core), shared.databases.probePool(analytics))
        let slots = ExportSlots(count: Self.runsMax)
        let jobs = exports.map { export in
            TableExportJob(
                definition: export.definition,
                source: source,
                target: target,
                batchSize: batchSize,
                transform: export.definition.transform.swift.flatMap { ExportTransforms.all[$0.text] },
                slots: slots
            )
        }
        let doctor = TableExportDoctor(settings: self, jobs: jobs, source: source, target: target)
        return Feature(
            name: Self.featureName,
            jobs: jobs,
            schedules: zip(jobs, exports).compactMap { job, export in
                export.schedule.map {
                    ScheduleDefinition(job: job.name, expression: $0, timeZone: shared.schedule.zone)
                }
            },
            reportedJobs: jobs.map(\.name),
            databases: [
                FeatureDatabase(role: "analytics", pool: target, migrations: try TableExportMigrations.migrations())
            ],
            probes: [
                NamedProbe("core") { await DependencyProbe.postgres(probes.0) },
                NamedProbe("analytics") { await DependencyProbe.postgres(probes.1) },
            ],
            examine: { await doctor.examine() },
            atStart: { await doctor.definitions() },
            grants: { doctor.grants },
            close: { await source.close() }
        )
    }
}

extension TableExportFeature {
    static func isOn(_ reader: SettingsReader) -> Bool {
        reader.has(.databaseURLCore) || reader.has(.databaseURLAnalytics)
    }

    static func read(_ reader: inout SettingsReader) -> TableExportFeature? {
        let batchSize =
            reader.has(.batchSize)
            ? reader.int(.batchSize, in: ExportDefinition.batchRange, default: ExportDefinition.batchDefault) : nil
        guard isOn(reader) else { return nil }
        let core = reader.database(.databaseURLCore, required: "postgresql://user:password@host:5432/core")
        let analytics = reader.database(
            .databaseURLAnalytics,
            required: "postgresql://user:password@host:5432/analytics"
        )
        let exports = readDefinitions(&reader)
        guard let core, let analytics, let exports else { return nil }
        return TableExportFeature(
            core: PGSettings(url: core.url, applicationName: core.applicationName, readOnly: true),
            analytics: analytics,
            batchSize: batchSize,
            exports: exports
        )
    }

    /// The definitions of the configuration folder, each with its schedule; nil when one is refused.
    private static func readDefinitions(_ reader: inout SettingsReader) -> [Scheduled]? {
        do {
            let known = Set(ExportTransforms.all.keys)
            let folder = reader.string(.configFolder) ?? folderDefault
            return try ExportDefinitions.read(folder: folder, transforms: known).map { definition in
                Scheduled(definition: definition, schedule: try definition.schedule.map(expression))
            }
        } catch {
            reader.refuse(.configFolder, TallyError.wrapping(error, during: "settings").summary)
            return nil
        }
    }

    private static func expression(_ text: Placed) throws -> CronExpression {
        do {
            return try CronExpression(text.text)
        } catch {
            throw TallyError(
                .settingsInvalid,
                during: "export.definitions",
                "\(text.place): \"schedule\" must be a cron expression of five fields, such as */30 * * * *",
                cause: error
            )
        }
    }
}
