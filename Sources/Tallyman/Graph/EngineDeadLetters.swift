import API
import Engine
import Runtime

/// The routes' view of dead letters, over the engine's store.
struct EngineDeadLetters: DeadLettersPort {
    let store: DeadLetterStore

    func list(job: JobName?, limit: Int, before: String?) async throws -> [JSONValue] {
        try await prepared { try await store.list(job: job, limit: limit, before: before) }.map { letter in
            [
                "id": .string(letter.id), "job": .string(letter.job.rawValue), "key": .string(letter.key),
                "kind": .string(letter.kind), "reason": .string(letter.reason),
                "columns": .array(letter.columns.map { .string($0) }), "occurrences": .int(letter.occurrences),
                "firstSeenAt": .string(Timestamp.text(letter.firstSeenAt)),
                "lastSeenAt": .string(Timestamp.text(letter.lastSeenAt)),
                "runId": .string(letter.runID.description),
            ]
        }
    }

    func openCounts() async throws -> [JobName: Int] { try await prepared { try await store.openCounts() } }

    func retry(id: String?, job: JobName?, by: String) async throws -> Int {
        try await prepared { try await store.retry(id: id, job: job) }
    }

    func discard(id: String, by: String) async throws -> Bool {
        try await prepared { try await store.discard(id: id, by: by) }
    }
}
