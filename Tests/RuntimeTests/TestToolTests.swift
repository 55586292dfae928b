import Foundation
import Runtime
import TestKit
import Testing

/// The tools that other tests stand on.
@Suite struct TestToolTests {
    @Test func aChildsOutputAndExitAreSeen() async throws {
        let child = try ChildProcess("sh", ["-c", "echo hello; echo oh >&2; read line; echo got $line; exit 3"])
        try await child.waitForText("hello")
        child.send("this\n")
        #expect(try await child.wait() == .code(3))
        #expect(child.progress.value.outputText == "hello\ngot this\n")
        #expect(child.progress.value.errorText == "oh\n")
    }

    @Test func aSignalledChildSaysSo() async throws {
        let child = try ChildProcess("sleep", ["600"], environment: ["PATH": "/usr/bin:/bin"])
        child.signal(SIGKILL)
        #expect(try await child.wait() == .signal(SIGKILL))
        child.signal(SIGTERM)
    }

    @Test func waitingForAChildHasAnEnd() async throws {
        let child = try ChildProcess("cat", directory: "/")
        let error = await #expect(throws: TallyError.self) { try await child.wait(within: .milliseconds(5)) }
        #expect(error?.kind == .deadlineExceeded)
        child.closeInput()
        #expect(try await child.wait() == .code(0))
    }

    @Test func aGrandchildThatHoldsTheOutputDoesNotHoldUsUp() async throws {
        let child = try ChildProcess("sh", ["-c", "sleep 600 & echo $!"])
        #expect(try await child.wait() == .code(0))
        let pid = try #require(pid_t(child.progress.value.outputText.dropLast()))
        kill(pid, SIGKILL)
    }

    @Test func aMissingProgramIsAnError() {
        #expect(throws: TestServiceMissing.self) { try ChildProcess("/no/such/program") }
    }

    @Test func seedsRepeat() {
        var first = SeededGenerator(seed: 7)
        var second = SeededGenerator(seed: 7)
        for _ in 0..<100 { #expect(first.next() == second.next()) }
        #expect(Set(SeededGenerator.seeds()).count == SeededGenerator.seeds().count)
    }

    @Test func aDatabaseOfItsOwn() throws {
        let server = try TestPostgres.shared()
        let url = try server.freshDatabase()
        #expect(try server.psql(url, "SELECT 1, 'a'") == "1|a\n")
        #expect(throws: TestServiceMissing.self) { try server.psql(url, "SELECT no_such_column") }
    }
}
