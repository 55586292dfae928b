import ServiceLifecycle

/// A long-lived loop that ends by cancellation, as a service: told to stop, it is cancelled and awaited.
struct UntilShutdown: Service {
    private let body: @Sendable () async throws -> Void

    init(_ body: @escaping @Sendable () async throws -> Void) {
        self.body = body
    }

    func run() async throws {
        do {
            try await cancelWhenGracefulShutdown { try await body() }
        } catch is CancellationError {
            return
        }
    }
}
