package import Foundation

/// Where the scheduler gets its time from: the system, or a test that drives it.
package struct EngineClock: Sendable {
    package let now: @Sendable () -> Date
    /// Returns after about that long; throws when the task is cancelled.
    package let sleep: @Sendable (Duration) async throws -> Void

    package init(now: @escaping @Sendable () -> Date, sleep: @escaping @Sendable (Duration) async throws -> Void) {
        self.now = now
        self.sleep = sleep
    }

    package static let system = EngineClock(now: { Date() }, sleep: { try await Task.sleep(for: $0) })
}
