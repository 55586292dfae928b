/// Runs `body` and cancels it when it has not ended within `limit`.
///
/// Throws `.deadlineExceeded` naming `stage` when time ran out. `body` must answer to cancellation.
package func withDeadline<Result: Sendable>(
    _ limit: Duration,
    during stage: StaticString,
    clock: some Clock<Duration> = ReleasingClock(),
    _ body: @escaping @Sendable () async throws -> Result
) async throws -> Result {
    try await withThrowingTaskGroup(of: Result?.self) { group in
        group.addTask { try await body() }
        group.addTask {
            try await clock.sleep(for: limit)
            return nil
        }
        defer { group.cancelAll() }
        guard let first = try await group.next(), let result = first else {
            throw TallyError(.deadlineExceeded, during: stage, "no answer within \(limit)")
        }
        return result
    }
}
