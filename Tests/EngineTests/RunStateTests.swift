import Engine
import Foundation
import Postgres
import Runtime
import TestKit
import Testing

@Suite struct RunStateTests {
    @Test func finalStatesHaveNoSuccessor() {
        for state in RunState.allCases { #expect(state.isFinal == state.successors.isEmpty) }
    }

    @Test func compiledMigrationsAreTheFolders() throws {
        let folder = URL(filePath: #filePath).deletingLastPathComponent().appending(
            path: "../../Sources/Engine/Migrations"
        )
        let names = try FileManager.default.contentsOfDirectory(atPath: folder.path).sorted()
        #expect(EngineMigrations.files.map(\.name) == names)
        for file in EngineMigrations.files {
            #expect(try Data(contentsOf: folder.appending(path: file.name)) == Data(file.bytes))
        }
    }

    @Test func migrationsGoUpAndDown() async throws {
        let url = try TestPostgres.shared().freshDatabase()
        let connection = try await PGConnection.connect(PGSettings(url: Secret(url), applicationName: "test"))
        let migrator = try EngineMigrations.migrator()
        #expect(try await migrator.up(connection).count == EngineMigrations.files.count)
        #expect(try await migrator.up(connection) == [], "a second time there is nothing to do")
        for file in EngineMigrations.files.reversed() {
            #expect(try await migrator.down(connection).map { file.name.hasPrefix($0) } == true)
        }
        #expect(try await migrator.status(connection).contains { $0.applied } == false)
        await connection.close()
    }
}
