import Alerts
import Engine
import Runtime
import Testing

/// What is news: over every short sequence of endings, and by example.
@Suite struct AlertPolicyTests {
    static func ending(
        _ state: RunState,
        dryRun: Bool = false,
        counts: [String: Int] = [:],
        letters: Int = 0,
        isWhole: Bool = true,
        kind: TallyError.Kind = .targetUnreachable
    ) -> RunEnding {
        RunEnding(
            id: RunID(),
            job: "product_sync",
            dryRun: dryRun,
            state: state,
            counts: counts,
            deadLetters: letters,
            isWhole: isWhole,
            error: state == .failed ? RunError(TallyError(kind, during: "write", "the cart is away")) : nil
        )
    }

    /// Plays endings through the policy as the notifier does, with a memory of its own; the alerts' titles.
    private func played(_ endings: [RunEnding], _ policy: AlertPolicy = AlertPolicy(driftRows: 10)) -> [String] {
        var known: [Alert.Subject: String] = [:]
        var told: [String] = []
        for ending in endings {
            for seen in policy.observations(of: ending) {
                let previous = known[seen.subject]
                known[seen.subject] = seen.state
                if previous == seen.state { continue }
                if let alert = policy.alert(seen, previous: previous, of: ending, repeated: false) {
                    told.append("\(alert.severity.rawValue): \(alert.title)")
                }
            }
        }
        return told
    }

    @Test func aFailureIsToldOnceAndSoIsItsEnd() {
        let told = played([
            Self.ending(.succeeded), Self.ending(.failed), Self.ending(.failed), Self.ending(.succeeded),
            Self.ending(.succeeded),
        ])
        #expect(
            told == [
                "problem: product_sync failed: target-unreachable in write", "recovery: product_sync works again",
            ]
        )
    }

    /// Bronze that goes well each hour says nothing of the silver that fails each hour.
    @Test func aPartThatWentWellTakesNoFailureBack() {
        let told = played([
            Self.ending(.failed), Self.ending(.succeeded, isWhole: false), Self.ending(.failed),
            Self.ending(.succeeded, isWhole: false), Self.ending(.succeeded),
        ])
        #expect(
            told == [
                "problem: product_sync failed: target-unreachable in write", "recovery: product_sync works again",
            ]
        )
    }

    @Test func anotherKindOfFailureIsNews() {
        let told = played([Self.ending(.failed), Self.ending(.failed, kind: .credentialsRejected)])
        #expect(told.count == 2)
    }

    @Test func whatPeopleDidIsNoNews() {
        #expect(played([Self.ending(.cancelled), Self.ending(.skipped), Self.ending(.failed, dryRun: true)]).isEmpty)
    }

    @Test func deadLettersAndDriftHaveStatesOfTheirOwn() {
        let told = played([
            Self.ending(.partial, counts: ["missingProducts": 8, "staleProducts": 2], letters: 3),
            Self.ending(.partial, counts: ["missingProducts": 99], letters: 3),
            Self.ending(.succeeded, counts: ["missingProducts": 9]),
        ])
        #expect(
            told == [
                "problem: product_sync left 3 dead letters", "problem: product_sync found 10 differences, 10 or more",
                "recovery: product_sync has no dead letters any more", "recovery: product_sync found 9 differences",
            ]
        )
    }

    @Test func driftIsSilentWithoutAThreshold() {
        #expect(played([Self.ending(.succeeded, counts: ["missingProducts": 1_000])], AlertPolicy()).isEmpty)
    }

    @Test func aStateThatLastsIsToldAgainWhenTheTimeHasCome() throws {
        let policy = AlertPolicy()
        let ending = Self.ending(.failed)
        let seen = try #require(policy.observations(of: ending).first)
        #expect(policy.alert(seen, previous: seen.state, of: ending, repeated: false) == nil)
        let again = policy.alert(seen, previous: seen.state, of: ending, repeated: true)
        #expect(again?.title.hasPrefix("still: ") == true)
    }

    @Test func onlyRunsThatWroteAreReported() {
        let policy = AlertPolicy(reportsEachRun: { $0 == "product_sync" })
        let report = policy.report(of: Self.ending(.succeeded, counts: ["written": 5, "read": 7]))
        #expect(report?.lines == ["read 7, written 5"])
        #expect(policy.report(of: Self.ending(.failed)) == nil)
        #expect(policy.report(of: Self.ending(.succeeded, dryRun: true)) == nil)
        #expect(AlertPolicy().report(of: Self.ending(.succeeded)) == nil)
    }

    /// Model: after every sequence of up to six endings, problems and recoveries of a subject alternate, and the last
    /// one told is what the last ending says.
    @Test func everySequenceAlternates() {
        let kinds: [RunEnding] = [
            Self.ending(.succeeded), Self.ending(.failed), Self.ending(.interrupted), Self.ending(.cancelled),
            Self.ending(.partial, letters: 1),
        ]
        var sequences: [[Int]] = [[]]
        for _ in 0..<6 {
            sequences = sequences.flatMap { prefix in kinds.indices.map { prefix + [$0] } }
            for sequence in sequences {
                let told = played(sequence.map { kinds[$0] })
                let works = told.filter { !$0.contains("dead letters") }
                var isBad = false
                for line in works {
                    let recovers = line.hasPrefix("recovery")
                    #expect(!recovers || isBad, "\(sequence): a recovery from nothing")
                    isBad = !recovers
                }
                let last = sequence.last { $0 != 3 }
                #expect(isBad == (last == 1 || last == 2), "\(sequence)")
            }
        }
    }
}
