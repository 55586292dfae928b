import Crypto
import Engine
import Postgres
import Runtime

/// Dead letters are counted in every run, also a dry one; only a run that repairs keeps them.
extension FindingsSettler {
    static func fingerprint(_ image: [UInt8]) -> [UInt8] { Array(SHA256.hash(data: image)) }

    /// Throws `.tooManyDeadLetters` once the run has more than it may, so that a dry run ends as the sync would.
    mutating func countDeadLetters(_ keys: [String]) throws {
        try context.deadLetters.admit(keys)
        tally.deadLetters += keys.count
    }

    mutating func addUnkeyable(_ unkeyable: [SourcePage.Unkeyable]) async throws {
        guard !unkeyable.isEmpty else { return }
        try countDeadLetters(unkeyable.map(\.identifier))
        try await record(
            unkeyable.map {
                DeadLetter(
                    key: $0.identifier,
                    reason: $0.rejection.reason.words,
                    kind: $0.rejection.reason.rawValue,
                    columns: [plan.columns[0].name],
                    fingerprint: nil
                )
            }
        )
    }

    /// Documents that cannot become a row.
    mutating func quarantine(_ rejected: [Findings.Rejected]) async throws {
        guard !rejected.isEmpty else { return }
        try countDeadLetters(rejected.map { plan.key.text($0.key[...]) })
        guard mode == .repair else {
            for one in rejected where openLetter(one.key[...]) == nil { doubts(one.key[...]) }
            return
        }
        let payloads = try await payloads(rejected.map(\.key))
        try await record(
            rejected.map { one in
                DeadLetter(
                    key: plan.key.text(one.key[...]),
                    reason: one.rejection.reason.words,
                    kind: one.rejection.reason.rawValue,
                    columns: [plan.columns[one.rejection.column].name],
                    fingerprint: nil,
                    payload: payloads[one.key]
                )
            }
        )
    }

    /// Rows that the target refused.
    mutating func quarantine(refused: [(row: [UInt8], error: TallyError)]) async throws {
        guard !refused.isEmpty else { return }
        try countDeadLetters(refused.map { plan.key.text($0.row[RowImage.key($0.row.span, at: 0)]) })
        let payloads = try await payloads(refused.map { Array($0.row[RowImage.key($0.row.span, at: 0)]) })
        try await record(
            refused.map { row, error in
                let key = row[RowImage.key(row.span, at: 0)]
                return DeadLetter(
                    key: plan.key.text(key),
                    reason: error.summary,
                    kind: error.serverError?.sqlState ?? error.kind.rawValue,
                    columns: error.serverError?.columnName.map { [$0] } ?? [],
                    fingerprint: Self.fingerprint(row),
                    payload: payloads[Array(key)]
                )
            }
        )
    }

    /// The fingerprint of the key's open letter, empty for a letter without one; nil where none is open.
    func openLetter(_ key: ArraySlice<UInt8>) -> [UInt8]? { open[DeadLetter.kept(plan.key.text(key))] }

    /// Closes the open letters among `keys`.
    func resolve(_ keys: [String]) async throws {
        guard mode == .repair, !open.isEmpty else { return }
        let healed = keys.filter { open[DeadLetter.kept($0)] != nil }
        guard !healed.isEmpty else { return }
        try await writingLetters { try await $0.resolve(keys: healed, in: $1) }
    }

    private func record(_ letters: [DeadLetter]) async throws {
        guard mode == .repair else { return }
        try await writingLetters { try await $0.record(letters, in: $1) }
    }

    /// Letters are rows of the target like any other: a run that was replaced writes none (INV-1).
    private func writingLetters(_ body: (DeadLetterSink, PGConnection) async throws -> Void) async throws {
        try await context.retrying("sync.letters") {
            try await writer.transaction { try await body(context.deadLetters, $0) }
        }
    }

    /// The records themselves, where dead letters keep them; nothing is read otherwise.
    private func payloads(_ keys: [[UInt8]]) async throws -> [[UInt8]: JSONValue] {
        context.deadLetters.keepsPayloads ? try await keyed.payloads(keys) : [:]
    }
}
