import Cron
import Engine
import Foundation
import Runtime
import TestKit
import Testing

@testable import Tallyman

/// `jobs.yaml`: what it may say, what is refused, and who wins over whom.
@Suite struct JobsFileTests {
    private static let sync: JobName = "product_sync"
    private static let health: JobName = "health_check"
    private static let retail: JobName = "retail"

    /// Runs `body` with a folder that holds `text` as jobs.yaml.
    private func folder<Result>(_ text: String, _ body: (String) throws -> Result) throws -> Result {
        let folder = FileManager.default.temporaryDirectory.appending(path: "jobs-\(UUID().uuidString)")
        try FileManager.default.createDirectory(at: folder, withIntermediateDirectories: true)
        defer { try? FileManager.default.removeItem(at: folder) }
        try Data(text.utf8).write(to: folder.appending(path: JobsFile.name))
        return try body(folder.path)
    }

    private func book(_ folder: String, pinned: Set<JobName> = [], zoneIsPinned: Bool = false) throws -> ScheduleBook {
        ScheduleBook(
            standard: [
                ScheduleDefinition(job: Self.sync, expression: try CronExpression("*/30 * * * *"), timeZone: .gmt),
                ScheduleDefinition(job: Self.health, expression: try CronExpression("*/5 * * * *"), timeZone: .gmt),
            ],
            pinned: pinned,
            zone: .gmt,
            zoneIsPinned: zoneIsPinned,
            jobs: [Self.sync: [.batchSize, .verify, .dryRun], Self.health: [], Self.retail: [.stage]],
            folder: folder
        )
    }

    @Test func noFileChangesNothing() throws {
        let schedules = try book("/nonexistent").schedules()
        #expect(schedules.map(\.expressionText) == ["*/30 * * * *", "*/5 * * * *"])
    }

    /// The file's zone for all jobs does not move those whose feature has a zone of its own; an entry of theirs does.
    @Test func aFeaturesOwnZoneStays() throws {
        try folder("timezone: Asia/Tokyo\n") { folder in
            var book = try book(folder)
            book.zoned = [Self.sync]
            #expect(try book.schedules().map(\.timeZone.identifier) == ["GMT", "Asia/Tokyo"])
        }
        let text = """
            timezone: Asia/Tokyo
            jobs:
              product_sync:
                timezone: Europe/Berlin
            """
        try folder(text) { folder in
            var book = try book(folder)
            book.zoned = [Self.sync]
            #expect(try book.schedules().map(\.timeZone.identifier) == ["Europe/Berlin", "Asia/Tokyo"])
        }
    }

    @Test func everyKeyArrives() throws {
        let text = """
            timezone: Europe/Berlin
            jobs:
              product_sync:
                cron: "0 3 * * *"
                overlap: queue
                misfire: all
                misfireLimit: 7
                misfireWindow: 2h
                jitter: 30s
                resume: false
                options: {batchSize: 500, verify: true}
              health_check:
                enabled: false
              retail:
                cron: "15 * * * *"
                timezone: Asia/Tokyo
                options: {stage: silver}
            """
        let schedules = try folder(text) { try book($0).schedules() }
        #expect(schedules.map(\.job) == [Self.sync, Self.retail])
        let sync = try #require(schedules.first)
        #expect(sync.expressionText == "0 3 * * *")
        #expect(sync.timeZone.identifier == "Europe/Berlin")
        #expect(sync.overlap == .queue)
        #expect(sync.misfire == .all)
        #expect(sync.misfireLimit == 7)
        #expect(sync.misfireWindow == 7_200)
        #expect(sync.jitter == 30)
        #expect(!sync.resumes)
        #expect(sync.options == RunOptions(batchSize: 500, verify: true))
        let retail = try #require(schedules.last)
        #expect(retail.timeZone.identifier == "Asia/Tokyo")
        #expect(retail.options.stage == "silver")
    }

    @Test func theEnvironmentIsOnTop() throws {
        let text = "timezone: Asia/Tokyo\njobs:\n  product_sync: {cron: '0 3 * * *', overlap: queue}\n"
        let schedules = try folder(text) {
            try book($0, pinned: [Self.sync], zoneIsPinned: true).schedules()
        }
        let sync = try #require(schedules.first)
        #expect(sync.expressionText == "*/30 * * * *")
        #expect(sync.timeZone == .gmt)
        #expect(sync.overlap == .queue, "what no variable gives is the file's")
    }

    @Test(arguments: [
        ("jobs:\n  produkt_sync: {}\n", "2: unknown job \"produkt_sync\"; known: health_check, product_sync, retail"),
        ("job: {}\n", "1: unknown key \"job\"; known: timezone, jobs"),
        ("jobs:\n  product_sync:\n    crom: x\n", "3: unknown key \"crom\""),
        ("jobs:\n  product_sync:\n    cron: '61 * * * *'\n", "3: cron: minute"),
        ("jobs:\n  product_sync:\n    cron: '0 0 30 2 *'\n", "3: cron: "),
        ("jobs:\n  product_sync:\n    timezone: Nowhere\n", "3: timezone must be an IANA time zone"),
        ("timezone: Mars\n", "1: timezone must be an IANA time zone"),
        ("jobs:\n  product_sync:\n    overlap: both\n", "3: overlap must be one of skip, queue"),
        ("jobs:\n  product_sync:\n    jitter: 30\n", "3: jitter must be a span of time"),
        ("jobs:\n  product_sync:\n    misfireLimit: 0\n", "3: misfireLimit must be a whole number from 1 to 1000"),
        ("jobs:\n  product_sync:\n    enabled: perhaps\n", "3: enabled must be true or false"),
        ("jobs:\n  product_sync:\n    options:\n      batchSize: 0\n", "4: \"batchSize\" must be a whole number"),
        ("jobs:\n  product_sync:\n    options:\n      stage: x\n", "4: Unknown field \"stage\""),
        ("jobs:\n  retail: {overlap: skip}\n", "2: job \"retail\" has no schedule of its own, so \"cron\" is needed"),
        ("jobs:\n  product_sync: {}\n  product_sync: {}\n", "not valid YAML"),
        ("jobs: [\n", "not valid YAML"),
    ])
    func whatIsWrongIsRefusedWithItsLine(text: String, reason: String) throws {
        let error = #expect(throws: TallyError.self) { try folder(text) { try book($0).schedules() } }
        #expect(error?.kind == .settingsInvalid)
        #expect(error?.summary.contains(reason) == true, "\(error?.summary ?? "")")
        #expect(error?.summary.contains("jobs.yaml:") == true)
    }

    @Test func changesAreTold() throws {
        let old = try folder("jobs: {health_check: {enabled: false}}") { try book($0).schedules() }
        let new = try folder("jobs: {product_sync: {options: {batchSize: 7}}}") { try book($0).schedules() }
        let changes = ScheduleBook.changes(from: old, to: new)
        #expect(changes.count == 2)
        #expect(changes.first == "health_check: scheduled, */5 * * * * (UTC)")
        #expect(changes.last?.contains("options [batchSize]") == true)
        #expect(ScheduleBook.changes(from: new, to: new).isEmpty)
    }
}
