package import Engine
import Foundation
package import Runtime
import Synchronization

/// One piece of news for those who watch: a run that changed.
package struct RunEvent: Sendable {
    /// `<epoch>-<number>`: the epoch is this process's, so that an id of another one is recognised as such.
    package let id: String
    package let run: RunID
    package let body: JSONValue
    package let isFinal: Bool
}

/// Looks into the ledger once for all who watch, and keeps the last news for those who come back.
///
/// Nothing is asked of the database while nobody watches. A watcher that does not keep up loses news in the middle,
/// never the newest: the queue before it holds 64. Silence means that nothing changed: once the ledger cannot be read
/// for a while, all watching ends.
package final class EventHub: Sendable {
    /// Watchers at once; the next one is refused.
    package static let watchersMax = 64
    static let keptMax = 512
    private static let queueMax = 64
    /// The ledger's stamps are made before their transaction commits: one that is older than the newest seen may appear
    /// for so long, which is longer than any transaction of the ledger takes.
    static let overlap: TimeInterval = 5
    /// As many changes as the ledger tells at once, or nearly.
    private static let changesMax = 200

    private struct Watcher {
        let run: RunID?
        let channel: BoundedChannel<RunEvent>
    }

    private struct State {
        var watchers: [Int: Watcher] = [:]
        var nextWatcher = 0
        var number = 0
        var kept: [RunEvent] = []
        var outage: TallyError?
        var wake: CheckedContinuation<Void, Never>?
    }

    private let epoch: String
    private let interval: Duration
    private let patience: Duration
    private let state = Mutex(State())

    package init(interval: Duration = .milliseconds(500), patience: Duration = .seconds(10)) {
        self.interval = interval
        self.patience = patience
        epoch = String(UInt64.random(in: 1 ... .max), radix: 36)
    }

    package var watcherCount: Int { state.withLock { $0.watchers.count } }

    /// Why nothing can be told; nil while the ledger answers, or nobody asks.
    var outage: TallyError? { state.withLock { $0.outage } }

    /// Feeds the watchers until cancelled. A ledger that does not answer is asked again; after ten seconds nobody is
    /// left to watch, until it does.
    package func run(_ runs: any RunsPort) async throws {
        var place = Place()
        var failingSince: ContinuousClock.Instant?
        while !Task.isCancelled {
            await untilWatched()
            if Task.isCancelled { return }
            let asked = ContinuousClock.now
            do {
                place = try await withDeadline(patience + .seconds(3), during: "events.look") { [place] in
                    try await self.look(into: runs, from: place)
                }
                failingSince = nil
                state.withLock { $0.outage = nil }
            } catch is CancellationError {
                return
            } catch {
                // What changes meanwhile is told when the ledger answers again: the place stays.
                let since = failingSince ?? asked
                failingSince = since
                if since.duration(to: .now) >= patience { end(.wrapping(error, during: "events.look")) }
            }
            do { try await Task.sleep(for: interval) } catch { return }
            if watcherCount == 0, outage == nil { (place, failingSince) = (Place(), nil) }
        }
    }

    /// Ends all watching: who comes back is told why.
    private func end(_ outage: TallyError) {
        let watchers = state.withLock { state in
            state.outage = outage
            return state.watchers.values.map(\.channel)
        }
        for channel in watchers { channel.finish() }
    }

    /// How far the ledger has been read.
    private struct Place: Sendable {
        var since: Date?
        /// The stamps of what was told and may be read again.
        var told: [RunID: Date] = [:]
    }

    private func look(into runs: any RunsPort, from start: Place) async throws -> Place {
        var place = start
        let since: Date
        if let read = place.since { since = read } else { since = try await runs.now() }
        var records = try await runs.changes(after: since.addingTimeInterval(-Self.overlap))
        // So many within the overlap that what is newer did not fit.
        if records.count >= Self.changesMax { records += try await runs.changes(after: since) }
        var newest = since
        for record in records {
            let heard = record.heartbeatAt ?? record.queuedAt
            newest = max(newest, heard)
            guard place.told[record.id] != heard else { continue }
            place.told[record.id] = heard
            publish(record, progress: runs.progress(record.id))
        }
        place.since = newest
        let horizon = newest.addingTimeInterval(-Self.overlap)
        place.told = place.told.filter { $0.value > horizon }
        return place
    }

    /// Tells everybody of a run as it is.
    func publish(_ record: RunRecord, progress: ProgressSnapshot?) {
        let targets = state.withLock { state -> [(BoundedChannel<RunEvent>, RunEvent)] in
            state.number += 1
            let event = RunEvent(
                id: "\(epoch)-\(state.number)",
                run: record.id,
                body: RunAnswer.run(record, progress: progress),
                isFinal: record.state.isFinal
            )
            state.kept.append(event)
            if state.kept.count > Self.keptMax { state.kept.removeFirst(state.kept.count - Self.keptMax) }
            return state.watchers.values.filter { $0.run == nil || $0.run == record.id }.map { ($0.channel, event) }
        }
        for (channel, event) in targets where !channel.offer(event) {
            // Full: the oldest goes, since the newest says more.
            channel.takeNow()
            _ = channel.offer(event)
        }
    }

    /// What a watcher missed since `lastEventID`; nil when that cannot be told any more.
    private func missed(since lastEventID: String, of run: RunID?, _ state: State) -> [RunEvent]? {
        guard let index = state.kept.firstIndex(where: { $0.id == lastEventID }) else { return nil }
        return state.kept[(index + 1)...].filter { run == nil || $0.run == run }
    }

    /// Watches until `body` ends. It is lent what was missed (nil: unknown, look at the whole again) and the news.
    ///
    /// Throws `.serverBusy` when too many watch already.
    func watching(
        _ run: RunID?,
        lastEventID: String?,
        _ body: (_ missed: [RunEvent]?, _ news: BoundedChannel<RunEvent>) async throws -> Void
    ) async throws {
        let channel = BoundedChannel<RunEvent>(capacity: Self.queueMax)
        let (number, missed, wake) = try state.withLock { state in
            guard state.watchers.count < Self.watchersMax else {
                throw TallyError(.serverBusy, during: "events.watch", "too many watch events already")
            }
            state.nextWatcher += 1
            state.watchers[state.nextWatcher] = Watcher(run: run, channel: channel)
            let missed = lastEventID.map { self.missed(since: $0, of: run, state) } ?? []
            defer { state.wake = nil }
            return (state.nextWatcher, missed, state.wake)
        }
        wake?.resume()
        defer { state.withLock { _ = $0.watchers.removeValue(forKey: number) } }
        try await body(missed, channel)
    }

    private func untilWatched() async {
        await withTaskCancellationHandler {
            await withCheckedContinuation { continuation in
                let isNow = state.withLock { state -> Bool in
                    if !state.watchers.isEmpty || state.outage != nil || Task.isCancelled { return true }
                    state.wake = continuation
                    return false
                }
                if isNow { continuation.resume() }
            }
        } onCancel: {
            state.withLock { state in
                defer { state.wake = nil }
                return state.wake
            }?.resume()
        }
    }
}
