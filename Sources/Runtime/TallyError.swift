/// What went wrong, what stage it happened in and what to do, in words that are safe to print.
///
/// `summary` and `remedy` never hold a secret or a row value. `detail` may name more (a server's own message) and is
/// shown only by `String(reflecting:)`. The cause is kept, never turned into text.
package struct TallyError: Error, Sendable, CustomStringConvertible, CustomDebugStringConvertible {
    /// The closed set of things that can go wrong; `docs/errors.md` lists each with its meaning.
    package enum Kind: String, Sendable, CaseIterable {
        case sourceUnreachable = "source-unreachable"
        case targetUnreachable = "target-unreachable"
        case deadlineExceeded = "deadline-exceeded"
        case serverBusy = "server-busy"
        case transactionConflict = "transaction-conflict"
        case recordMalformed = "record-malformed"
        case constraintViolated = "constraint-violated"
        case credentialsRejected = "credentials-rejected"
        case permissionDenied = "permission-denied"
        case schemaMismatch = "schema-mismatch"
        case migrationsMissing = "migrations-missing"
        case changeImplausible = "change-implausible"
        case tooManyDeadLetters = "too-many-dead-letters"
        case proofFailed = "proof-failed"
        case leaseLost = "lease-lost"
        case busy = "busy"
        case settingsInvalid = "settings-invalid"
        case requestInvalid = "request-invalid"
        case notFound = "not-found"
        case cancelled = "cancelled"
        case limitExceeded = "limit-exceeded"
        case protocolViolation = "protocol-violation"
        case unknown = "unknown"
    }

    package let kind: Kind
    package let stage: String
    package let summary: String
    package let remedy: String?
    package let detail: String?
    package let cause: (any Error)?
    /// How long the other side asks to be left alone (`Retry-After`); a retry waits at least that.
    package let retryAfter: Duration?

    package init(
        _ kind: Kind,
        during stage: StaticString,
        _ summary: String,
        remedy: String? = nil,
        detail: String? = nil,
        cause: (any Error)? = nil,
        retryAfter: Duration? = nil
    ) {
        self.kind = kind
        self.stage = "\(stage)"
        self.summary = summary
        self.remedy = remedy
        self.detail = detail
        self.cause = cause
        self.retryAfter = retryAfter
    }

    package var description: String {
        let head = "\(kind.rawValue) during \(stage): \(summary)"
        return remedy.map { "\(head). \($0)" } ?? head
    }

    package var debugDescription: String {
        var text = description
        if let detail { text += " [\(detail)]" }
        if let cause { text += " <- \(String(reflecting: cause))" }
        return text
    }

    /// Any error in the house's shape; what is not ours becomes `.unknown`, and a Swift cancellation `.cancelled`.
    package static func wrapping(_ error: any Error, during stage: StaticString) -> TallyError {
        if let ours = error as? TallyError { return ours }
        if error is CancellationError { return TallyError(.cancelled, during: stage, "cancelled", cause: error) }
        return TallyError(.unknown, during: stage, "unexpected error of type \(type(of: error))", cause: error)
    }
}

/// What a caller may do about a failure, decided in exactly one place.
package enum Disposition: Sendable, Equatable {
    /// Transient: try the same batch again with backoff.
    case retry
    /// Poison input: quarantine this record and carry on.
    case quarantine
    /// An operator must act: stop the job and say why.
    case halt
}

extension TallyError.Kind {
    package var disposition: Disposition {
        switch self {
        case .sourceUnreachable, .targetUnreachable, .deadlineExceeded, .serverBusy, .transactionConflict: .retry
        case .recordMalformed, .constraintViolated: .quarantine
        case .credentialsRejected, .permissionDenied, .schemaMismatch, .migrationsMissing, .changeImplausible,
            .tooManyDeadLetters, .proofFailed, .leaseLost, .busy, .settingsInvalid, .requestInvalid, .notFound,
            .cancelled, .limitExceeded, .protocolViolation, .unknown:
            .halt
        }
    }
}
