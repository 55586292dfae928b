/// What a route asks of its caller.
package enum AccessLevel: Sendable, Equatable {
    /// Probes and the figures the old dashboards read without a token.
    case open
    /// `/metrics`: open unless a metrics token is configured.
    case metrics
    /// Shows data.
    case read
    /// Changes data or starts work.
    case write
    /// Changes how the daemon behaves for everybody.
    case admin

    package var scope: Scope? {
        switch self {
        case .open, .metrics: nil
        case .read: .read
        case .write: .write
        case .admin: .admin
        }
    }
}

package enum Scope: String, Sendable, CaseIterable {
    case read = "etl:read"
    case write = "etl:write"
    case admin = "etl:admin"
}
