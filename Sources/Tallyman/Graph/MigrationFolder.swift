import Foundation
import Postgres
import Runtime

/// An operator's own migrations of one database: dbmate's files in `<MIGRATIONS_DIR>/<role>`, recorded where dbmate
/// records them, in `public.schema_migrations`, so that both tools may be used.
struct MigrationFolder: Sendable {
    let path: String

    static let schema = "public"

    init(root: String, role: String) { path = "\(root)/\(role)" }

    /// The files in the order of their versions; none when there is no such folder.
    ///
    /// Throws `.settingsInvalid` for a file that is not in dbmate's form, and for a version that stands twice.
    func migrations() throws -> [PGMigration] {
        let names = (try? FileManager.default.contentsOfDirectory(atPath: path)) ?? []
        var versions: Set<String> = []
        return try names.filter { $0.hasSuffix(".sql") }.sorted().map { name in
            guard let text = try? String(contentsOfFile: "\(path)/\(name)", encoding: .utf8) else {
                throw TallyError(.settingsInvalid, during: "migrate.read", "\(path)/\(name) cannot be read as UTF-8")
            }
            let migration = try PGMigration(fileName: name, text: text)
            guard versions.insert(migration.version).inserted else {
                throw TallyError(.settingsInvalid, during: "migrate.read", "\(path)/\(name): its version stands twice")
            }
            return migration
        }
    }

    func migrator() throws -> PGMigrator { PGMigrator(migrations: try migrations(), schema: Self.schema) }

    /// Makes an empty migration of that name and moment; its path. Throws `.requestInvalid` for a name that is none.
    func create(_ name: String, at moment: Date) throws -> String {
        let slug = name.lowercased().replacing(#/[\s-]+/#, with: "_")
        guard slug.wholeMatch(of: #/[a-z0-9_]{1,100}/#) != nil else {
            throw TallyError(
                .requestInvalid,
                during: "migrate.new",
                "a migration's name has letters, digits, _ and - only, at most 100"
            )
        }
        var calendar = Calendar(identifier: .gregorian)
        calendar.timeZone = .gmt
        let parts = calendar.dateComponents([.year, .month, .day, .hour, .minute, .second], from: moment)
        let numbers = [parts.month, parts.day, parts.hour, parts.minute, parts.second].map { number in
            let text = String(number ?? 0)
            return text.count < 2 ? "0" + text : text
        }
        let file = "\(path)/\(parts.year ?? 0)\(numbers.joined())_\(slug).sql"
        do {
            try FileManager.default.createDirectory(atPath: path, withIntermediateDirectories: true)
            try Data("-- migrate:up\n\n\n-- migrate:down\n\n".utf8).write(
                to: URL(filePath: file),
                options: .withoutOverwriting
            )
        } catch {
            throw TallyError(.requestInvalid, during: "migrate.new", "\(file) could not be made", cause: error)
        }
        return file
    }
}
