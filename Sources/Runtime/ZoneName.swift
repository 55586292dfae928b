package import Foundation

extension TimeZone {
    /// The zone of an IANA name; nil for a name that is none.
    ///
    /// UTC, by any of its names, is Foundation's own zone without rules: looked up as all others are it would be
    /// ICU's, and open its tables.
    package init?(named name: String) {
        if Self.namesOfUTC.contains(name) {
            self = .gmt
        } else {
            self.init(identifier: name)
        }
    }

    /// The IANA name, `UTC` for what `init(named:)` made of one of its names.
    package var name: String { self == .gmt ? "UTC" : identifier }

    private static let namesOfUTC: Set<String> = ["UTC", "Etc/UTC", "GMT", "Etc/GMT"]
}
