/// A named point at which a test may stop, fail or kill the process; inert unless one is installed.
package struct Failpoint: Sendable {
    package typealias Hook = @Sendable (_ name: String) async throws -> Void
    /// Does nothing: what production uses.
    package static let none = Failpoint { _ in }
    private let hook: Hook

    package init(_ hook: @escaping Hook) {
        self.hook = hook
    }

    package func reach(_ name: StaticString) async throws {
        try await hook("\(name)")
    }
}
