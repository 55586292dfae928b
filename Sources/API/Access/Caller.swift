package import Foundation

/// Who sent a request, as far as it was proved.
package struct Caller: Sendable, Equatable {
    package let name: String
    package let scopes: Set<Scope>
    /// When the token stops being good; nil without one.
    package let expires: Date?

    package init(name: String, scopes: Set<Scope>, expires: Date? = nil) {
        self.name = name
        self.scopes = scopes
        self.expires = expires
    }

    /// Without a key the daemon listens on loopback only, and whoever reaches it there may do everything.
    package static let loopback = Caller(name: "loopback", scopes: Set(Scope.allCases))
    package static let anonymous = Caller(name: "anonymous", scopes: [])
}
