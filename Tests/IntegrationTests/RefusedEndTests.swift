import Engine
import Postgres
import Runtime
import TestKit
import Testing

/// INV-11: an end that the ledger did not take is told to nobody as a success.
@Suite struct RefusedEndTests {
    /// The process was frozen after its last commit; another replica has called the run interrupted meanwhile.
    @Test func aRunThatWasClosedByAnotherIsNoSuccess() async throws {
        let runs = try await ScriptedRuns()
        let told = Watched<[RunState]>([])
        let runner = runs.runner(ended: { ending in told.change { $0.append(ending.state) } }) { context in
            try await runs.ledger.move(context.runID, to: .interrupted)
            return 0
        }
        let record = try await runs.once(runner) { _ in try await told.wait { !$0.isEmpty } }
        #expect(record.state == .interrupted)
        #expect(told.value == [.interrupted])
        await runs.state.close()
    }

    /// Nobody leads who would close it: whoever waits hears that the run is over, once.
    @Test func waitingForAnEndThatCouldNotBeWrittenIsAnError() async throws {
        let runs = try await ScriptedRuns()
        _ = try await runs.state.withConnection {
            try await $0.execute(
                """
                CREATE FUNCTION refuse() RETURNS trigger LANGUAGE plpgsql AS
                    $$ BEGIN RAISE EXCEPTION 'no end is taken'; END $$;
                CREATE TRIGGER refuse BEFORE UPDATE ON etl.runs FOR EACH ROW
                    WHEN (new.finished_at IS NOT NULL) EXECUTE FUNCTION refuse()
                """
            )
        }
        let told = Watched<[RunState]>([])
        let goOn = TestSignal()
        let runner = runs.runner(ended: { ending in told.change { $0.append(ending.state) } }) { _ in
            await goOn.wait()
            return 0
        }
        let error = await #expect(throws: TallyError.self) {
            try await withDeadline(.seconds(60), during: "test.wait") {
                try await runs.once(runner) { _ in goOn.fire() }
            }
        }
        #expect(error?.kind == .leaseLost)
        try await told.wait { $0 == [.interrupted] }
        await runs.state.close()
    }
}
