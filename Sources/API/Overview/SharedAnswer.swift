import Foundation
import Runtime
import Synchronization

/// An answer that many ask for at once: made again at most once in a while, whoever asks.
///
/// Whoever comes while it is being made gets the one before, if that is not much older; so fifty open pages cost the
/// databases what one does.
final class SharedAnswer<Key: Hashable & Sendable>: Sendable {
    private struct Entry {
        var value: JSONValue?
        var madeAt = ContinuousClock.now
        var isBeingMade = false
    }

    /// Keys kept at once.
    static var keysMax: Int { 32 }
    private let freshFor: Duration
    private let entries = Mutex<[Key: Entry]>([:])

    /// Keys kept now.
    var count: Int { entries.withLock { $0.count } }

    init(freshFor: Duration) { self.freshFor = freshFor }

    func value(_ key: Key, _ make: () async throws -> JSONValue) async throws -> JSONValue {
        let now = ContinuousClock.now
        let kept = entries.withLock { entries -> JSONValue? in
            if entries[key] == nil, entries.count >= Self.keysMax { entries.removeAll() }
            var entry = entries[key] ?? Entry()
            let age = entry.madeAt.duration(to: now)
            if let value = entry.value, age < freshFor || (entry.isBeingMade && age < freshFor * 10) { return value }
            entry.isBeingMade = true
            entries[key] = entry
            return nil
        }
        if let kept { return kept }
        do {
            let value = try await make()
            entries.withLock { $0[key] = Entry(value: value, madeAt: .now, isBeingMade: false) }
            return value
        } catch {
            entries.withLock { $0[key]?.isBeingMade = false }
            throw error
        }
    }
}
