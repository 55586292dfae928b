import Engine
import Postgres
import Runtime
import Synchronization
import TableExport
import TestKit
import Testing

/// Rows that cannot be exported: by default they stop the run at their place, with `onError: quarantine` they are set
/// aside and the rest flows (INV-5).
@Suite(.serialized) struct BadRowTests {
    static let source = """
        CREATE TABLE t (id int PRIMARY KEY, n int, at int NOT NULL); CREATE INDEX ON t (at, id);
        INSERT INTO t SELECT i, i, i FROM generate_series(1, 500) i
        """
    static let target = "CREATE TABLE analytics_raw.t (id int PRIMARY KEY, n int CHECK (n >= 0), at int, inverse int)"
    static let stop = """
        exports:
          - key: T
            source: {table: t, cursor: {field: at, idField: id}}
            destination: {table: t, conflictColumns: [id]}
        """
    static let aside = stop + "\n    onError: quarantine"
    static let inverse = "\n    transform: {columns: {inverse: \"1000 / n\"}}"

    static func count(_ rig: ExportRig) throws -> String { try rig.inTarget("SELECT count(*) FROM analytics_raw.t") }

    @Test func anExpressionThatFailsStopsTheRunAtItsRow() async throws {
        let rig = try await ExportRig(source: Self.source, target: Self.target)
        try rig.inSource("UPDATE t SET n = 0 WHERE id = 237")
        let job = try rig.job(Self.stop + Self.inverse)
        let error = await #expect(throws: TallyError.self) { try await rig.run(job, RunOptions(batchSize: 100)) }
        #expect(error?.kind == .recordMalformed)
        #expect(error?.summary.contains("position (237, 237)") == true, "\(error?.summary ?? "")")
        #expect(try Self.count(rig) == "236\n", "what lies before it has arrived")
        #expect(try rig.inTarget("SELECT cursor_id FROM etl.watermarks") == "236\n")
        try rig.inSource("UPDATE t SET n = 5 WHERE id = 237")
        try await rig.run(job)
        #expect(try Self.count(rig) == "500\n", "mended, the next run goes on from there")
        await rig.close()
    }

    @Test func aConstraintOfTheTargetStopsTheRunAtItsBatch() async throws {
        let rig = try await ExportRig(source: Self.source, target: Self.target)
        try rig.inSource("UPDATE t SET n = -1 WHERE id = 237")
        let job = try rig.job(Self.stop)
        let error = await #expect(throws: TallyError.self) { try await rig.run(job, RunOptions(batchSize: 100)) }
        #expect(error?.kind == .constraintViolated)
        #expect(error?.summary.contains("behind the position (200, 200)") == true, "\(error?.summary ?? "")")
        #expect(try Self.count(rig) == "200\n")
        try rig.inSource("UPDATE t SET n = 1 WHERE id = 237")
        try await rig.run(job)
        #expect(try Self.count(rig) == "500\n")
        await rig.close()
    }

    @Test func badRowsAreSetAsideAndTriedAgain() async throws {
        let rig = try await ExportRig(source: Self.source, target: Self.target)
        try rig.inSource("UPDATE t SET n = -1 WHERE id IN (1, 100, 101, 499)")
        try rig.inSource("UPDATE t SET n = 0 WHERE id IN (50, 51, 500)")
        let job = try rig.job(Self.aside + Self.inverse)
        let summary = try await rig.run(job, RunOptions(batchSize: 64))
        #expect(summary.deadLetters == 7)
        #expect(summary.counts["written"] == 493)
        #expect(try Self.count(rig) == "493\n")
        let letters = try rig.letters()
        #expect(
            letters
                == "1|constraint-violated\n100|constraint-violated\n101|constraint-violated\n499|constraint-violated\n"
                + "50|record-malformed\n500|record-malformed\n51|record-malformed\n"
        )
        #expect(try rig.inTarget("SELECT cursor_id FROM etl.watermarks") == "500\n")
        var compare = RunOptions(dryRun: true)
        compare.verify = true
        let compared = try await rig.run(job, compare)
        #expect(compared.counts["missing"] == 0, "what was set aside is known to be missing")
        #expect(compared.counts["stale"] == 0 && compared.counts["extra"] == 0)
        try rig.inTarget("UPDATE analytics_raw.t SET n = 4321 WHERE id = 52")
        #expect(try await rig.run(job, compare).counts["stale"] == 1, "beside what was set aside all is compared")
        try rig.inTarget("UPDATE analytics_raw.t SET n = 52 WHERE id = 52")
        // Mended rows that move forward arrive by themselves; others when an operator asks for them.
        try rig.inSource("UPDATE t SET n = 7, at = 600 WHERE id = 100; UPDATE t SET n = 7 WHERE id = 500")
        try rig.inTarget("UPDATE etl.dead_letters SET fingerprint = NULL WHERE key IN ('500', '1')")
        let second = try await rig.run(job)
        // On a busy server other bad rows may be read again too, and counted as what they are.
        #expect((1...6).contains(second.deadLetters), "1 is as bad as before")
        #expect(try rig.inTarget("SELECT id, n FROM analytics_raw.t WHERE n = 7 ORDER BY id") == "7|7\n100|7\n500|7\n")
        #expect(
            try rig.inTarget("SELECT string_agg(key, ' ' ORDER BY key) FROM etl.dead_letters WHERE resolved_at IS NULL")
                == "1 101 499 50 51\n"
        )
        await rig.close()
    }

    /// COPY writes `AB   ` and `t` where a cast to text says `AB` and `true`: a letter has the latter, as SQL does.
    @Test(arguments: [("char(10)", "'k' || i"), ("boolean", "i = 7"), ("char(10)", "'k' || i || '  '")])
    func keysOfBadRowsAreTheirValues(type: String, value: String) async throws {
        let rig = try await ExportRig(
            source: """
                CREATE TABLE t (code \(type), id int, n int, at int NOT NULL, PRIMARY KEY (code, id));
                CREATE INDEX ON t (at, code); INSERT INTO t SELECT \(value), i, i, i FROM generate_series(1, 20) i;
                UPDATE t SET n = -1 WHERE id = 7
                """,
            target: """
                CREATE TABLE analytics_raw.t (code \(type), id int, n int CHECK (n >= 0), at int,
                    PRIMARY KEY (id, code))
                """
        )
        let job = try rig.job(
            Self.aside.replacing("idField: id", with: "idField: code").replacing(": [id]", with: ": [code, id]")
        )
        #expect(try await rig.run(job).deadLetters == 1)
        var compare = RunOptions(dryRun: true)
        compare.verify = true
        #expect(try await rig.run(job, compare).counts["missing"] == 0)
        try rig.inSource("UPDATE t SET n = 7 WHERE id = 7")
        try rig.inTarget("UPDATE etl.dead_letters SET fingerprint = NULL")
        #expect(
            try await rig.run(
                try rig.job(
                    Self.aside.replacing("idField: id", with: "idField: code").replacing(
                        ": [id]",
                        with: ": [code, id]"
                    ),
                    lookback: .off
                )
            ).counts["written"] == 1
        )
        #expect(try rig.letters() == "", "the row has arrived")
        await rig.close()
    }

    /// Also where the source cannot tell whether a row is to be left out.
    @Test func aRowWithoutAnAnswerToSkipIsSetAside() async throws {
        let rig = try await ExportRig(source: Self.source, target: Self.target)
        try rig.inSource("UPDATE t SET n = 0 WHERE id = 237")
        let job = try rig.job(Self.aside + "\n    transform: {skip: \"1000 / n = 1000\"}")
        #expect(try await rig.run(job).deadLetters == 1)
        try rig.inTarget("UPDATE etl.dead_letters SET fingerprint = NULL")
        var verify = RunOptions()
        verify.verify = true
        let verified = try await rig.run(job, verify)
        #expect(verified.proof == .fullCompare)
        #expect(verified.counts["missing"] == 0 && verified.counts["stale"] == 0 && verified.counts["extra"] == 0)
        #expect(try rig.letters() == "237|record-malformed\n")
        #expect(try Self.count(rig) == "498\n", "all but this one and the one that is skipped")
        await rig.close()
    }

    /// A letter whose row is gone stays open; the run says so, since nothing else would.
    @Test func aRetriedLetterWithoutARowIsNamed() async throws {
        let rig = try await ExportRig(source: Self.source, target: Self.target)
        try rig.inSource("UPDATE t SET n = -1 WHERE id IN (7, 9)")
        let job = try rig.job(Self.aside)
        try await rig.run(job)
        try rig.inSource("DELETE FROM t WHERE id = 7")
        try rig.inTarget("UPDATE etl.dead_letters SET fingerprint = NULL")
        let notices = (try await rig.run(job).details["notices"]?.array ?? []).compactMap(\.string)
        #expect(notices.contains { $0.contains("found no row in the source under their keys: 1;") }, "\(notices)")
        await rig.close()
    }

    /// Fails once, as a server does that goes away, the n-th time a point is reached.
    private static func failing(at point: String, time: Int = 1) -> Failpoint {
        let left = Mutex(time)
        return Failpoint { name in
            guard name == point else { return }
            let isNow = left.withLock { left in
                left -= 1
                return left == 0
            }
            if isNow { throw TallyError(.targetUnreachable, during: "test", "gone for a moment") }
        }
    }

    @Test func whatAFailedAttemptDidStillCounts() async throws {
        let rig = try await ExportRig(source: Self.source, target: Self.target)
        try rig.inSource("UPDATE t SET n = -1 WHERE id IN (7, 9)")
        // Other transactions of a busy server must not decide how much is read behind the position.
        let summary = try await rig.run(
            try rig.job(Self.aside, lookback: .off),
            RunOptions(batchSize: 100),
            failpoint: Self.failing(at: "export.beforeBatch", time: 3)
        )
        #expect(summary.deadLetters == 2, "the letters of the first attempt: the run is partial and no success")
        #expect(summary.counts["written"] == 498)
        #expect(summary.counts["read"] == 500)
        await rig.close()
    }

    /// Batches are committed asynchronously; the last transaction makes them durable, whichever attempt wrote them.
    @Test(arguments: [false, true])
    func theLastCommitIsSynchronousWhenAnythingWasWritten(removes: Bool) async throws {
        let rig = try await ExportRig(
            source: Self.source,
            target: Self.target + """
                ; CREATE TABLE commits (n bigserial, setting text);
                CREATE FUNCTION note() RETURNS trigger LANGUAGE plpgsql AS
                $$ BEGIN INSERT INTO commits (setting) VALUES (current_setting('synchronous_commit'));
                RETURN NULL; END $$;
                CREATE TRIGGER note AFTER INSERT OR UPDATE ON etl.table_exports FOR EACH ROW EXECUTE FUNCTION note()
                """
        )
        let job = try rig.job(Self.stop + (removes ? "\n    deletes: delete\n    deletesEvery: 0s" : ""))
        if removes {
            try await rig.run(job)
            try rig.inSource("DELETE FROM t WHERE id = 5")
            #expect(try await rig.run(job).counts["deleted"] == 1)
        } else {
            let summary = try await rig.run(job, failpoint: Self.failing(at: "export.beforeFinish"))
            #expect(summary.counts["written"] == 500)
        }
        #expect(try rig.inTarget("SELECT setting FROM commits ORDER BY n DESC LIMIT 1") == "on\n")
        await rig.close()
    }

    /// Each bad row is past all before it: the statement that goes on behind it does not grow.
    @Test func manyBadRowsMakeNoLongStatement() async throws {
        let rig = try await ExportRig(source: Self.source, target: Self.target)
        try rig.inSource("UPDATE t SET n = 0 WHERE id % 50 = 0")
        let longest = Mutex(0)
        let failpoint = Failpoint { name in
            guard name == "export.beforeBatch" else { return }
            let count = try rig.inSource(
                "SELECT coalesce(max(array_length(string_to_array(query, '> ('), 1)), 0) FROM pg_stat_activity "
                    + "WHERE datname = current_database() AND query LIKE '%COPY (SELECT%' AND pid <> pg_backend_pid()"
            )
            let bounds = Int(count.dropLast()) ?? 0
            longest.withLock { $0 = max($0, bounds) }
        }
        let summary = try await rig.run(try rig.job(Self.aside + Self.inverse), failpoint: failpoint)
        #expect(summary.deadLetters == 10)
        #expect((2...4).contains(longest.withLock { $0 }), "\(longest.withLock { $0 })")
        await rig.close()
    }

    @Test func aSwiftTransformGetsTypedRows() async throws {
        let rig = try await ExportRig(source: Self.source, target: Self.target)
        let transform: ExportTransform = { row in
            guard let n = try row.int("n") else { return row }
            if n == 237 { throw TallyError(.recordMalformed, during: "test", "no 237 please") }
            if n % 2 == 0 { return nil }
            var row = row
            try row.set("n", to: n * 10)
            return row
        }
        let stop = try rig.job(Self.stop + "\n    transform: {swift: test}", transform: transform)
        let error = await #expect(throws: TallyError.self) { try await rig.run(stop, RunOptions(batchSize: 100)) }
        #expect(error?.summary.contains("position (237, 237)") == true, "\(error?.summary ?? "")")
        #expect(try Self.count(rig) == "118\n", "the odd ones before 237")
        #expect(try rig.inTarget("SELECT cursor_id FROM etl.watermarks") == "236\n")
        let aside = try rig.job(Self.aside + "\n    transform: {swift: test}", transform: transform)
        let summary = try await rig.run(aside, RunOptions(batchSize: 100))
        #expect(summary.deadLetters == 1)
        #expect(try rig.letters() == "237|record-malformed\n")
        #expect(try Self.count(rig) == "249\n")
        #expect(try rig.inTarget("SELECT sum(n) FROM analytics_raw.t") == "\((62_500 - 237) * 10)\n")
        await rig.close()
    }

    @Test func aCampaignIsTakenOutOfAnAddress() async throws {
        let columns = "id int PRIMARY KEY, url text, at int NOT NULL"
        let rig = try await ExportRig(
            source: """
                CREATE TABLE v (\(columns)); CREATE INDEX ON v (at, id);
                INSERT INTO v VALUES (1, 'https://a.example/x?utm_source=b%C3%BCro&utm_campaign=two+words&z=1', 1),
                    (2, NULL, 2), (3, 'https://a.example/', 3)
                """,
            target: "CREATE TABLE analytics_raw.v (\(columns), utm_source text, utm_medium text, utm_campaign text)"
        )
        let job = try rig.job(
            """
            exports:
              - key: V
                source: {table: v, cursor: {field: at, idField: id}}
                destination: {table: v, conflictColumns: [id]}
                transform:
                  columns: {utm_source: "null::text", utm_medium: "null::text", utm_campaign: "null::text"}
                  swift: campaign
            """,
            transform: ExportTransforms.all["campaign"]
        )
        try await rig.run(job)
        let rows = try rig.inTarget("SELECT id, utm_source, utm_medium, utm_campaign FROM analytics_raw.v ORDER BY id")
        #expect(rows == "1|büro||two words\n2|||\n3|||\n")
        await rig.close()
    }

    @Test func aTriggerThatSwallowsRowsIsNoSuccess() async throws {
        let rig = try await ExportRig(
            source: Self.source,
            target: Self.target + """
                ; CREATE FUNCTION swallow() RETURNS trigger LANGUAGE plpgsql AS
                $$ BEGIN IF NEW.id = 300 THEN RETURN NULL; END IF; RETURN NEW; END $$;
                CREATE TRIGGER swallow BEFORE INSERT ON analytics_raw.t FOR EACH ROW EXECUTE FUNCTION swallow()
                """
        )
        for _ in 0..<2 {
            let error = await #expect(throws: TallyError.self) {
                try await rig.run(try rig.job(Self.stop), RunOptions(batchSize: 200))
            }
            #expect(error?.kind == .proofFailed)
            #expect(try Self.count(rig) == "200\n", "INV-11: a batch that did not arrive whole is rolled back")
        }
        await rig.close()
    }
}
