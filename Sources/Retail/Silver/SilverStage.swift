import Engine
import Foundation
import Logging
import Postgres
import Runtime
import Telemetry

/// What a silver stage did.
struct SilverReport: Sendable {
    var files = 0
    var lines = 0
    var staged = 0
    var inserted: [BronzeEntity: Int] = [:]
    var updated: [BronzeEntity: Int] = [:]
    var deletedLines = 0
    var deadLetters = 0

    var written: Int { inserted.values.reduce(0, +) + updated.values.reduce(0, +) + deletedLines }

    var json: JSONValue {
        func table(_ counts: [BronzeEntity: Int]) -> JSONValue {
            .object(Dictionary(counts.map { ($0.key.rawValue, .int($0.value)) }, uniquingKeysWith: { $1 }))
        }
        return [
            "files": .int(files), "lines": .int(lines), "staged": .int(staged), "inserted": table(inserted),
            "updated": table(updated), "deletedLines": .int(deletedLines), "deadLetters": .int(deadLetters),
        ]
    }
}

/// Bronze files to tables: every unloaded file in order, each in one transaction with its mark in the manifest.
struct SilverStage: Sendable {
    let settings: RetailSettings
    let warehouse: PGPool
    let context: RunContext

    private var folder: BronzeFolder { BronzeFolder(root: settings.bronzeFolder, compression: settings.compression) }

    /// - Parameter fromDay: `YYYY-MM-DD`; files from that day on are loaded again, whether or not they were.
    func run(fromDay: String?) async throws -> SilverReport {
        context.progress.stage("silver")
        let open = try await context.deadLetters.openFingerprints(in: nil)
        // Letters that an operator wants tried again have lost their fingerprint: their files are read again.
        let again = Set(open.filter { $0.value.isEmpty }.keys.compactMap(Self.path))
        let files = try await warehouse.withConnection { connection in
            try await BronzeManifest.toLoad(fromDay: fromDay, again: again.sorted(), on: connection)
        }
        noteGone(again.subtracting(files.map(\.path)), fromDay)
        var report = SilverReport()
        // What bronze read is behind us; without a total of its own it counts as it stands.
        context.progress.total = context.progress.snapshot.read + files.map(\.records).reduce(0, +)
        for file in files {
            try Task.checkCancellation()
            let letters = Set(open.keys.filter { $0.hasPrefix("\(file.path):") })
            let load = FileLoad(
                file: file,
                folder: folder,
                context: context,
                openLetters: letters,
                mayBeLate: fromDay == nil
            )
            let loaded = try await context.retrying("retail.silver") {
                try await warehouse.withConnection { try await load.run($0) }
            }
            report.add(loaded, file.entity)
            context.progress.add(written: loaded.inserted + loaded.updated)
            RetailMetric.rows(.silver, file.entity, loaded.inserted + loaded.updated)
        }
        return report
    }

    /// The file that a letter's key names: `<path>:<line>`.
    private static func path(_ key: String) -> String? {
        key.lastIndex(of: ":").map { String(key[..<$0]) }
    }

    private func noteGone(_ paths: Set<String>, _ fromDay: String?) {
        guard fromDay == nil, !paths.isEmpty else { return }
        context.logger.event(
            .warning,
            "dead letters are to be tried again whose bronze files are gone; discard them",
            [.count: "\(paths.count)", .runID: "\(context.runID)"]
        )
    }
}

extension SilverReport {
    fileprivate mutating func add(_ loaded: FileLoad.Loaded, _ entity: BronzeEntity) {
        files += 1
        lines += loaded.lines
        staged += loaded.staged
        inserted[entity, default: 0] += loaded.inserted
        updated[entity, default: 0] += loaded.updated
        deletedLines += loaded.deleted
        deadLetters += loaded.bad
    }
}
