import Cron
import Engine
import Foundation
import Testing

/// The schedule's state machine: every sequence of events up to length eight, over the very rules the scheduler uses.
@Suite struct ScheduleModelTests {
    private enum Event: CaseIterable {
        /// Time goes on, and a leader looks.
        case tenMinutes, twoHours, twoHoursBack
        case pauseOrResume, stopOrStart, runEnds
        /// The leader dies between the record of a fire and its run; the next looks at once.
        case leaderDies
    }

    private struct World: Hashable {
        var now: TimeInterval = 0
        /// The baseline, on record from the start.
        var last: TimeInterval = 0
        var fires: [TimeInterval: FireOutcome] = [:]
        var isPaused = false
        var isOn = true
        /// The fire whose run goes on.
        var running: TimeInterval?
        /// How often each fire has begun a run.
        var starts: [TimeInterval: Int] = [:]
        var broken: [String] = []
    }

    /// The schedule's answers, asked for once each: cron arithmetic is what the walk would spend its time on.
    private final class Answers {
        private struct Key: Hashable {
            let last: TimeInterval
            let now: TimeInterval
        }
        private var known: [Key: [Date]] = [:]

        func due(_ schedule: ScheduleDefinition, after last: TimeInterval, at now: TimeInterval) -> [Date] {
            let key = Key(last: last, now: now)
            if let answer = known[key] { return answer }
            let answer = schedule.due(after: date(last), at: date(now))
            known[key] = answer
            return answer
        }
    }

    private let schedule: ScheduleDefinition
    private let policy: OverlapPolicy
    private let answers = Answers()

    init() throws {
        policy = .skip
        schedule = try Self.schedule(.skip, .latest)
    }

    private init(_ overlap: OverlapPolicy, _ misfire: MisfirePolicy) throws {
        policy = overlap
        schedule = try Self.schedule(overlap, misfire)
    }

    private static func schedule(_ overlap: OverlapPolicy, _ misfire: MisfirePolicy) throws -> ScheduleDefinition {
        var schedule = ScheduleDefinition(job: "job", expression: try CronExpression("*/10 * * * *"), timeZone: .gmt)
        schedule.overlap = overlap
        schedule.misfire = misfire
        schedule.misfireLimit = 3
        schedule.misfireWindow = 7_000
        return schedule
    }

    private static func date(_ seconds: TimeInterval) -> Date { Date(timeIntervalSince1970: 1_795_132_800 + seconds) }

    // MARK: The scheduler, over a world instead of a database

    private func begin(_ fire: TimeInterval, _ world: inout World) {
        if world.running == nil {
            world.running = fire
            world.starts[fire, default: 0] += 1
            world.fires[fire] = .started
            return
        }
        let waits = world.fires.values.contains(.waiting)
        switch FireRule.meetsRun(world.fires[fire] ?? .due, policy, anotherWaits: waits) {
        case .leave: return
        case .wait: world.fires[fire] = .waiting
        default: world.fires[fire] = .skipped
        }
    }

    private func look(_ world: inout World, dying: Bool = false) {
        for fire in world.fires.filter({ $0.value == .due || $0.value == .waiting }).keys.sorted() {
            let step = FireRule.isOpen(
                hasRun: (world.starts[fire] ?? 0) > 0,
                age: world.now - fire,
                window: schedule.misfireWindow,
                mayStart: world.isOn && !world.isPaused
            )
            switch step {
            case .start: begin(fire, &world)
            case .started: world.fires[fire] = .started
            case .leave: continue
            default: world.fires[fire] = .skipped
            }
        }
        guard world.isOn else { return }
        let due = answers.due(schedule, after: world.last, at: world.now)
        for instant in due {
            let fire = instant.timeIntervalSince(Self.date(0))
            if world.fires[fire] != nil { world.broken.append("fire \(fire) fell due twice") }
            world.fires[fire] = FireRule.fallsDue(
                isPaused: world.isPaused,
                isMadeUp: schedule.makesUp(instant, at: Self.date(world.now), isNewest: instant == due.last)
            )
            world.last = max(world.last, fire)
            if dying { return }
            if world.fires[fire] != .skipped { begin(fire, &world) }
        }
    }

    private func apply(_ event: Event, to world: World) -> World {
        var next = world
        switch event {
        case .tenMinutes: next.now += 600
        case .twoHours: next.now += 7_200
        case .twoHoursBack: next.now -= 7_200
        case .pauseOrResume: next.isPaused.toggle()
        case .stopOrStart: next.isOn.toggle()
        case .runEnds: next.running = nil
        case .leaderDies:
            next.now += 600
            look(&next, dying: true)
        }
        look(&next)
        return next
    }

    // MARK: What must hold after each event

    private func check(_ world: World, after previous: World) -> [String] {
        var wrong = world.broken
        if world.starts.values.contains(where: { $0 > 1 }) { wrong.append("a fire began two runs") }
        if world.fires.values.contains(.due) { wrong.append("a fire was left behind") }
        let waiting = world.fires.filter { $0.value == .waiting }
        let mayStart = world.isOn && !world.isPaused
        if schedule.misfire != .all, waiting.count > (policy == .queue ? 1 : 0) {
            wrong.append("\(waiting.count) wait")
        }
        if !waiting.isEmpty, world.running == nil, mayStart { wrong.append("one waits for nothing") }
        let dropped = previous.fires.contains { fire, outcome in
            outcome == .waiting && world.fires[fire] == .skipped && world.now - fire < schedule.misfireWindow
        }
        if dropped { wrong.append("a fire that waited its turn was dropped") }
        if !mayStart, !(previous.isOn && !previous.isPaused), world.starts != previous.starts {
            wrong.append("a run began while paused or off")
        }
        for (fire, outcome) in previous.fires where world.fires[fire] != outcome {
            let isAllowed = [.due, .waiting].contains(outcome)
            if !isAllowed { wrong.append("\(outcome) became \(world.fires[fire].map { "\($0)" } ?? "nothing")") }
        }
        let begun = world.fires.filter { $0.value == .started && previous.fires[$0.key] == nil }
        if previous.isPaused, world.isPaused, !begun.isEmpty { wrong.append("a paused job fired") }
        if !previous.isOn, !world.isOn, world.fires.count > previous.fires.count { wrong.append("it fired while off") }
        if world.now < previous.now, !begun.isEmpty { wrong.append("a clock set back fired") }
        if schedule.misfire != .all, begun.count > 1 { wrong.append("\(begun.count) runs made up at once") }
        return wrong
    }

    @Test(arguments: OverlapPolicy.allCases, MisfirePolicy.allCases)
    func everySequenceOfEventsEndsLegally(overlap: OverlapPolicy, misfire: MisfirePolicy) throws {
        let model = try ScheduleModelTests(overlap, misfire)
        // Sequences that lead to the same world have the same future, so each world is walked from once a length.
        var worlds: Set<World> = [World()]
        var sequences = 0
        for length in 1...8 {
            var next: Set<World> = []
            for world in worlds {
                for event in Event.allCases {
                    let after = model.apply(event, to: world)
                    let wrong = model.check(after, after: world)
                    #expect(wrong == [], "\(event) at length \(length)")
                    if !wrong.isEmpty { return }
                    next.insert(after)
                    sequences += 1
                }
            }
            worlds = next
        }
        #expect(sequences > 10_000)
        // Left alone with its run ended, the switch on and nothing paused, every world comes to rest.
        for world in worlds {
            var rest = world
            (rest.isOn, rest.isPaused) = (true, false)
            for _ in 0..<16 { rest = model.apply(.runEnds, to: rest) }
            #expect(!rest.fires.values.contains { $0 == .due || $0 == .waiting })
        }
    }
}
