import Foundation
import TestKit
import Testing

/// The configuration folder read again by a running daemon, over HTTP and by SIGHUP: all or nothing.
@Suite(.serialized, .timeLimit(.minutes(3))) struct ReloadTests {
    private let folder = FileManager.default.temporaryDirectory.appending(path: "config-\(UUID().uuidString)")

    private func write(_ text: String) throws {
        try FileManager.default.createDirectory(at: folder, withIntermediateDirectories: true)
        try Data(text.utf8).write(to: folder.appending(path: "jobs.yaml"))
    }

    private func expression(_ daemon: Daemon) async throws -> String {
        try await daemon.send("GET", "/api/etl/scheduler/status").text
    }

    @Test func aFileIsTakenWholeOrNotAtAll() async throws {
        try write("jobs: {product_sync: {cron: '1 1 * * *'}}\n")
        defer { try? FileManager.default.removeItem(at: folder) }
        var settings = try CommandLineTests.databases()
        settings["CONFIG_DIR"] = folder.path
        settings["MIGRATE_ON_START"] = "true"
        // The variable of the contract would win over the file; an empty one counts as unset.
        settings["SYNC_CRON_SCHEDULE"] = ""
        let daemon = try Daemon(settings)
        defer { daemon.signal(SIGKILL) }
        try await daemon.ready()
        #expect(try await expression(daemon).contains("1 1 * * *"))

        try write("jobs: {product_sync: {cron: '2 2 * * *'}, health_check: {crom: x}}\n")
        let refused = try await daemon.send("POST", "/api/etl/config/reload")
        #expect(refused.status == 422)
        #expect(refused.text.contains("jobs.yaml:1: unknown key"))
        #expect(refused.text.contains("urn:tallyman:problem:configuration-refused"))
        #expect(try await expression(daemon).contains("1 1 * * *"), "nothing of a refused file is taken")

        try write("jobs: {product_sync: {cron: '2 2 * * *'}}\n")
        let taken = try await daemon.send("POST", "/api/etl/config/reload")
        #expect(taken.status == 200)
        #expect(taken.text.contains("product_sync: 2 2 * * *"))
        #expect(try await expression(daemon).contains("2 2 * * *"))

        try write("jobs: {product_sync: {cron: '3 3 * * *'}}\n")
        daemon.signal(SIGHUP)
        try await Eventually.holds("SIGHUP reads the file again") {
            try await expression(daemon).contains("3 3 * * *")
        }
        try write("jobs: [\n")
        daemon.signal(SIGHUP)
        try await daemon.child.waitForText("the configuration stays as it was")
        #expect(try await expression(daemon).contains("3 3 * * *"))
    }

    @Test func aWrongFileKeepsTheDaemonFromStarting() throws {
        try write("jobs:\n  nothing: {}\n")
        defer { try? FileManager.default.removeItem(at: folder) }
        var settings = try CommandLineTests.databases()
        settings["CONFIG_DIR"] = folder.path
        let answer = try CommandLineTests.run(["serve"], settings)
        #expect(answer.status == 2)
        #expect(answer.errors.contains("jobs.yaml:2: unknown job \"nothing\""))
    }
}
