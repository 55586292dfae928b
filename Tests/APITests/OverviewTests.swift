import Engine
import Foundation
import HTTPTypes
import Runtime
import Synchronization
import Testing

@testable import API

/// The one sentence, and the routes behind the console's first view.
@Suite struct OverviewTests {
    private static let now = Fixture.start.addingTimeInterval(60)
    private static let sync = JobDescription(name: "product_sync", options: [.dryRun])

    private static func facts(_ change: (inout JobFacts) -> Void = { _ in }) -> OverviewFacts {
        var facts = OverviewFacts(now: now)
        facts.probes = [("postgresql", true, .ok)]
        var job = JobFacts(job: sync)
        change(&job)
        facts.jobs = [job]
        return facts
    }

    @Test func anExportsVerificationIsDriftToo() {
        #expect(Drift(foundIn: ["missing": 3, "stale": 2, "extra": 9]) == Drift(missing: 3, stale: 2, orphaned: 0))
        #expect(Drift(foundIn: ["read": 3]) == nil)
    }

    private static func equal(dryRun: Bool = false) -> RunRecord {
        Fixture.record(
            .succeeded,
            dryRun: dryRun,
            counts: ["missingProducts": 2, "insertedProducts": 2, "staleProducts": 1, "updatedProducts": 1]
        )
    }

    private static func schedule(isPaused: Bool = false) async throws -> ScheduleStatus {
        ScheduleStatus(
            definition: try await FakeScheduler().status().schedules[0].definition,
            nextFires: [],
            lastFire: nil,
            switched: isPaused ? SwitchRecord(isOn: false, changedBy: "ada", changedAt: Fixture.start) : nil
        )
    }

    @Test func withoutAProofNothingIsGreen() {
        let verdict = OverviewVerdict(Self.facts())
        #expect(verdict.level == .unknown)
        #expect(verdict.sentence.contains("product_sync has not run"))
        #expect(verdict.run == nil)
        #expect(OverviewVerdict(OverviewFacts(now: Self.now)).level == .unknown, "a daemon without jobs proved nothing")
    }

    @Test func whatARunRepairedIsNoDrift() {
        let verdict = OverviewVerdict(
            Self.facts {
                $0.compared = Self.equal()
                $0.proved = Self.equal()
            }
        )
        #expect(verdict.level == .ok)
        #expect(verdict.sentence == "Nothing is wrong: both sides hold the same.")
        #expect(verdict.run?.id == Fixture.id, "the sentence names the run it rests on")
    }

    @Test func whatWasRefusedIsNoProofThoughNothingIsOpen() {
        let partial = Fixture.record(.partial, counts: ["missingProducts": 0, "deadLetters": 1], deadLetters: 1)
        var facts = Self.facts {
            $0.standing = partial
            $0.proved = Self.equal()
            $0.compared = partial
            $0.openDeadLetters = 1
        }
        #expect(OverviewVerdict(facts).sentence == "product_sync: 1 record waits as a dead letter.")
        #expect(OverviewVerdict(facts).further.isEmpty, "said once")
        facts.jobs[0].openDeadLetters = 0
        let discarded = OverviewVerdict(facts)
        #expect(discarded.level == .warning, "a letter that was discarded wrote no record")
        #expect(
            discarded.sentence == "product_sync: the last run was partial, its refused records are not in the target."
        )
        facts.jobs[0].compared = Self.equal(dryRun: true)
        #expect(OverviewVerdict(facts).level == .ok, "a later compare that refused nothing is a proof")
    }

    @Test func onlyOfJobsThatCompareIsItSaidThatBothSidesHoldTheSame() async throws {
        var shopify = JobFacts(job: JobDescription(name: "shopify", options: [.dryRun]))
        shopify.proved = Fixture.record(.succeeded, counts: ["records": 7])
        var facts = OverviewFacts(now: Self.now)
        facts.jobs = [shopify]
        #expect(OverviewVerdict(facts).level == .ok)
        #expect(OverviewVerdict(facts).sentence == "Nothing is wrong: every job's last run was proved.")
        var sync = JobFacts(job: Self.sync)
        sync.compared = Self.equal()
        facts.jobs.append(sync)
        #expect(
            OverviewVerdict(facts).sentence == "Nothing is wrong: both sides hold the same.",
            "nobody expects shopify"
        )
        facts.jobs[0].schedule = try await Self.schedule()
        #expect(
            OverviewVerdict(facts).sentence
                == "Nothing is wrong: every job's last run was proved; product_sync: both sides hold the same."
        )
    }

    @Test func whatIsNewerInTheTargetIsNotTheSame() {
        let newer = Fixture.record(.succeeded, counts: ["missingProducts": 0, "newerInTarget": 1_200])
        let verdict = OverviewVerdict(Self.facts { $0.compared = newer })
        #expect(verdict.level == .ok)
        #expect(
            verdict.sentence == "Nothing is wrong: nothing is missing, extra or stale, 1,200 newer in the target."
        )
    }

    @Test func whatADryRunFoundIsDrift() {
        let dry = Fixture.record(.succeeded, dryRun: true)
        let verdict = OverviewVerdict(Self.facts { $0.compared = dry })
        #expect(verdict.level == .warning)
        #expect(verdict.sentence == "product_sync: a dry run found 50 missing, 3 stale, 2 orphaned.")
    }

    @Test func orphansThatAreLeftAreDrift() {
        let left = Fixture.record(
            .succeeded,
            counts: ["missingProducts": 0, "orphanedProducts": 1_234, "deletedProducts": 1]
        )
        let verdict = OverviewVerdict(Self.facts { $0.compared = left })
        #expect(verdict.sentence == "product_sync: the last run left 1,233 orphaned.")
    }

    @Test func theWorstIsSaidFirstAndNothingIsLeftOut() {
        var facts = Self.facts {
            $0.standing = Fixture.record(
                .failed,
                error: RunError(TallyError(.targetUnreachable, during: "s", "it is gone"))
            )
            $0.compared = Fixture.record(.partial)
            $0.openDeadLetters = 1
        }
        facts.probes.append(("migrations", false, .failed("2 are missing")))
        facts.scheduler = SchedulerStatus(enabled: false, isLeader: false, leader: nil, schedules: [])
        let verdict = OverviewVerdict(facts)
        #expect(verdict.level == .bad)
        #expect(verdict.sentence == "migrations: 2 are missing.")
        #expect(
            verdict.further == [
                "The last run of product_sync failed: it is gone.",
                "product_sync: the last run left 50 missing, 3 stale, 2 orphaned.",
                "product_sync: 1 record waits as a dead letter.",
                "The scheduler is off: nothing runs by itself.",
            ]
        )
    }

    @Test func aProofOlderThanItsScheduleIsOverdue() async throws {
        let status = try await FakeScheduler().status()
        // Every half hour, as an overview sees it at any moment: what comes next is always ahead.
        func verdict(after hours: Double) -> OverviewVerdict {
            let half = Int(hours * 2)
            func instant(_ number: Int) -> Date { Fixture.start.addingTimeInterval(Double(number) * 1_800) }
            var facts = Self.facts {
                $0.compared = Self.equal()
                $0.proved = Self.equal()
                $0.schedule = ScheduleStatus(
                    definition: status.schedules[0].definition,
                    nextFires: (1...5).map { instant(half + $0) },
                    pastInstants: [instant(half), instant(half - 1)],
                    lastFire: Fixture.start
                )
            }
            facts.scheduler = status
            facts.now = Fixture.start.addingTimeInterval(hours * 3_600)
            return OverviewVerdict(facts)
        }
        #expect(verdict(after: 0.9).level == .ok)
        #expect(verdict(after: 1.05).level == .ok, "the second run may still be going")
        #expect(verdict(after: 400.2).level == .warning, "however long nothing fired")
        let late = verdict(after: 1.2)
        #expect(late.level == .warning)
        #expect(late.sentence == "product_sync: the last proof is older than its schedule.")
    }

    @Test func aScheduleThatNobodyLeadsIsToldOf() {
        var facts = Self.facts {
            $0.compared = Self.equal()
            $0.proved = Self.equal()
        }
        facts.scheduler = SchedulerStatus(enabled: true, isLeader: false, leader: nil, schedules: [])
        let verdict = OverviewVerdict(facts)
        #expect(verdict.level == .warning)
        #expect(verdict.sentence == "Nobody leads the schedule: nothing runs by itself.")
    }

    @Test func whatIsScheduledAndNeverRanKeepsTheLightFromGreen() async throws {
        let status = try await FakeScheduler().status()
        var facts = Self.facts {
            $0.compared = Self.equal()
            $0.proved = Self.equal()
        }
        var other = JobFacts(job: JobDescription(name: "user_analytics", options: [.dryRun]))
        facts.jobs.append(other)
        #expect(OverviewVerdict(facts).level == .ok, "nobody expects a job without a schedule to run")
        other.schedule = ScheduleStatus(definition: status.schedules[0].definition, nextFires: [], lastFire: nil)
        facts.jobs[1] = other
        let verdict = OverviewVerdict(facts)
        #expect(verdict.level == .unknown)
        #expect(verdict.sentence == "Not everything is proved: user_analytics has not run.")
        facts.jobs[1].proved = Self.equal()
        #expect(OverviewVerdict(facts).level == .ok)
    }

    @Test func aPausedScheduleIsToldOf() async throws {
        var facts = Self.facts { $0.compared = Self.equal() }
        facts.jobs[0].schedule = try await Self.schedule()
        #expect(OverviewVerdict(facts).level == .ok)
        facts.jobs[0].schedule = try await Self.schedule(isPaused: true)
        #expect(OverviewVerdict(facts).level == .warning)
        #expect(OverviewVerdict(facts).sentence == "product_sync: its schedule is paused.")
    }

    @Test func aDryRunGetsOldAsAnyProofDoes() async throws {
        var facts = Self.facts { $0.compared = Self.equal(dryRun: true) }
        facts.scheduler = try await FakeScheduler().status()
        facts.jobs[0].schedule = ScheduleStatus(
            definition: try await Self.schedule().definition,
            nextFires: [],
            pastInstants: [7_200, 5_400].map { Fixture.start.addingTimeInterval($0) },
            lastFire: nil
        )
        facts.now = Fixture.start.addingTimeInterval(7_600)
        #expect(OverviewVerdict(facts).sentence == "product_sync: the last proof is older than its schedule.")
    }

    @Test(arguments: [(RunState.cancelled, "was cancelled"), (.failed, "failed")])
    func whatDidNotEndWellSinceTheProofIsNotProved(state: RunState, verb: String) {
        var facts = Self.facts {
            $0.proved = Self.equal()
            $0.compared = Self.equal()
            $0.standing = Fixture.record(state, queued: 60)
        }
        // Of a job without schedule a failure is no longer told after a day, which does not make it a success.
        facts.now = Fixture.start.addingTimeInterval(90_000)
        let verdict = OverviewVerdict(facts)
        #expect(verdict.level == .unknown)
        #expect(verdict.sentence == "Not everything is proved: the last run of product_sync \(verb).")
        facts.jobs[0].compared = Fixture.record(.succeeded, dryRun: true, counts: ["missingProducts": 0], queued: 120)
        #expect(OverviewVerdict(facts).level == .ok, "a compare since then found nothing")
    }

    @Test func whatRanInPartsOnlyIsNotProved() {
        let verdict = OverviewVerdict(Self.facts { $0.ended = Fixture.record(.succeeded) })
        #expect(verdict.level == .unknown)
        #expect(verdict.sentence.hasPrefix("Nothing is proved yet: no run of product_sync has covered all of it."))
    }

    @Test func aFailureOnDemandIsHistoryAfterADay() {
        let failed = Fixture.record(.failed, error: RunError(TallyError(.settingsInvalid, during: "s", "no old key")))
        var facts = Self.facts {
            $0.compared = Self.equal()
            $0.proved = Self.equal()
        }
        var rotation = JobFacts(job: JobDescription(name: "pii_rotate", options: []))
        rotation.standing = failed
        facts.jobs.append(rotation)
        #expect(OverviewVerdict(facts).level == .bad)
        facts.now = Fixture.start.addingTimeInterval(90_000)
        #expect(OverviewVerdict(facts).level == .ok)
    }

    @Test func theOverviewSaysWhoAsksAndWhatRuns() async throws {
        let daemon = Daemon()
        daemon.runs.willEnd(with: Fixture.record(.succeeded))
        let answer = try await daemon.send(.get, "/api/etl/overview")
        #expect(answer.status == 200)
        #expect(answer.body["caller"] == ["name": "loopback", "scopes": ["etl:admin", "etl:read", "etl:write"]])
        let job = try #require(answer.body["jobs"]?.array?.first)
        #expect(job["job"] == "product_sync")
        #expect(job["drift"] == ["missing": 50, "stale": 3, "orphaned": 2], "nothing says that it was repaired")
        #expect(job["openDeadLetters"] == 3)
        #expect(job["nextFire"] == "2026-01-15T10:30:00.000Z")
        #expect(answer.body["databases"]?.array?.count == 3)
    }

    @Test func aLedgerThatDoesNotAnswerIsSaidNotThrown() async throws {
        var daemon = Daemon()
        daemon.probe("postgresql", answers: .failed("connection refused"))
        let facts = await OverviewAnswer.gather(
            {
                var ports = daemon.ports()
                ports.scheduler = DeadScheduler()
                return ports
            }()
        )
        let verdict = OverviewVerdict(facts)
        #expect(verdict.level == .bad)
        #expect(verdict.sentence == "postgresql does not answer: connection refused.")
        let rest = ["The ledger cannot be read: it is gone.", "product_sync: 3 records wait as dead letters."]
        #expect(verdict.further == rest)
    }

    private struct DeadScheduler: SchedulerPort {
        let gone = TallyError(.targetUnreachable, during: "test", "it is gone")
        func status() async throws -> SchedulerStatus { throw gone }
        func start(by: String) async throws { throw gone }
        func stop(by: String) async throws { throw gone }
        func pause(_ job: JobName, by: String) async throws { throw gone }
        func resume(_ job: JobName, by: String) async throws { throw gone }
        func options(of job: JobName) async throws -> RunOptions { throw gone }
    }

    @Test func aTimelineIsBoundedAndKnowsItsJobs() async throws {
        let daemon = Daemon()
        daemon.runs.willEnd(with: Fixture.record(.partial))
        let answer = try await daemon.send(.get, "/api/etl/timeline?hours=168&job=product_sync")
        #expect(answer.status == 200)
        #expect(answer.body["stretchSeconds"] == 2_100)
        let span = try #require(answer.body["spans"]?.array?.first)
        #expect(span["states"] == ["partial": 1])
        #expect(span["drift"] == ["missing": 50, "stale": 3, "orphaned": 2])
        for bad in ["hours=0", "hours=745", "hours=x", "day=1"] {
            #expect(try await daemon.send(.get, "/api/etl/timeline?\(bad)").status == 400, "\(bad)")
        }
        #expect(try await daemon.send(.get, "/api/etl/timeline?job=nothing").status == 404)
    }
}

@Suite struct SharedAnswerTests {
    @Test func manyAsksCostOne() async throws {
        let shared = SharedAnswer<Int>(freshFor: .seconds(3_600))
        let made = Mutex(0)
        for _ in 0..<50 {
            let value = try await shared.value(1) {
                made.withLock { $0 += 1 }
                return "made"
            }
            #expect(value == "made")
        }
        #expect(made.withLock { $0 } == 1)
        let other = try await shared.value(2) { "other" }
        #expect(other == "other", "each key has its own")
    }

    @Test func whatIsOldIsMadeAgainAndAFailureIsNotKept() async throws {
        let shared = SharedAnswer<Int>(freshFor: .zero)
        #expect(try await shared.value(1) { "first" } == "first")
        #expect(try await shared.value(1) { "second" } == "second")
        await #expect(throws: CancellationError.self) { _ = try await shared.value(1) { throw CancellationError() } }
        #expect(try await shared.value(1) { "third" } == "third")
    }

    @Test func keysAreBounded() async throws {
        let shared = SharedAnswer<Int>(freshFor: .seconds(3_600))
        for key in 0..<1_000 { _ = try await shared.value(key) { .int(key) } }
        #expect(shared.count <= SharedAnswer<Int>.keysMax)
    }
}
