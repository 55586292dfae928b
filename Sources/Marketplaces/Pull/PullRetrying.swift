import Runtime

/// Tries one step of a source again as the run's policy says; for sources that have several steps to a sweep.
package struct PullRetrying: Sendable {
    package typealias Run = @Sendable (_ body: () async throws -> Void) async throws -> Void

    /// Each step once.
    package static let never = PullRetrying { try await $0() }

    private let run: Run

    /// `run` calls its body until that succeeds, or throws.
    package init(_ run: @escaping Run) {
        self.run = run
    }

    /// What `body` gives, the first time that it succeeds.
    package func callAsFunction<Result>(_ body: () async throws -> Result) async throws -> Result {
        var result: Result?
        try await run { result = try await body() }
        guard let result else { throw TallyError(.unknown, during: "marketplace.retrying", "a step was not made") }
        return result
    }
}
