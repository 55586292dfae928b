import Runtime

/// Finds jobs by what operators type: a name, a family with a definition, or a whole family.
package struct JobDirectory: Sendable {
    package let jobs: [any Job]

    package init(_ jobs: [any Job]) { self.jobs = jobs }

    /// The one job of that name. Dashes count as underscores; a family needs its `definition`.
    ///
    /// Throws `.notFound` with the names there are.
    package func job(_ name: String, definition: String? = nil) throws -> any Job {
        let plain = name.replacing("-", with: "_")
        if let definition {
            let wanted = "\(plain).\(definition)"
            if let member = jobs.first(where: { $0.family == plain && $0.name.rawValue == wanted }) { return member }
        }
        if let job = jobs.first(where: { [name, plain].contains($0.name.rawValue) }) { return job }
        throw unknown(plain)
    }

    /// Every job of a family, in the order they were defined. Throws `.notFound` for a family without members.
    package func family(_ name: String) throws -> [any Job] {
        let plain = name.replacing("-", with: "_")
        let members = jobs.filter { $0.family == plain }
        guard !members.isEmpty else { throw unknown(plain) }
        return members
    }

    private func unknown(_ name: String) -> TallyError {
        let members = jobs.filter { $0.family == name }.map(\.name.rawValue)
        let known = (members.isEmpty ? jobs.map(\.name.rawValue) : members).joined(separator: ", ")
        return TallyError(.notFound, during: "jobs.find", "there is no such job", remedy: "Known: \(known).")
    }
}
