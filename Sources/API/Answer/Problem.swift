package import Runtime

/// An error answer in the form of RFC 9457; thrown by handlers and rendered at the edge.
///
/// `type` is stable and listed in `docs/errors.md`; `detail` is safe to print: no secret and no row value.
package struct Problem: Error, Sendable, Equatable {
    /// The closed set of problem types; the raw value is the last part of the `type` URI.
    package enum Name: String, Sendable, CaseIterable {
        case badRequest = "bad-request"
        case bodyInvalid = "body-invalid"
        case queryInvalid = "query-invalid"
        case tokenRequired = "token-required"
        case tokenInvalid = "token-invalid"
        case scopeMissing = "scope-missing"
        case hostRefused = "host-refused"
        case originRefused = "origin-refused"
        case notFound = "not-found"
        case methodNotAllowed = "method-not-allowed"
        case notAcceptable = "not-acceptable"
        case requestTimeout = "request-timeout"
        case handlerTimeout = "handler-timeout"
        case notImplemented = "not-implemented"
        case bodyTooLarge = "body-too-large"
        case mediaTypeUnsupported = "media-type-unsupported"
        case jobUnknown = "job-unknown"
        case runUnknown = "run-unknown"
        case runActive = "run-active"
        case runEnded = "run-ended"
        case runFailed = "run-failed"
        case runCancelled = "run-cancelled"
        case runInterrupted = "run-interrupted"
        case runSkipped = "run-skipped"
        case deadLetterUnknown = "dead-letter-unknown"
        case watermarkUnknown = "watermark-unknown"
        case idempotencyMismatch = "idempotency-mismatch"
        case tooManyWatchers = "too-many-watchers"
        case notReady = "not-ready"
        case unhealthy = "unhealthy"
        case configurationRefused = "configuration-refused"
        case featureOff = "feature-off"
        case dependencyUnavailable = "dependency-unavailable"
        case migrationsMissing = "migrations-missing"
        case internalError = "internal-error"

        package var uri: String { "urn:tallyman:problem:\(rawValue)" }
    }

    package let name: Name
    package let status: Int
    package let title: String
    package let detail: String
    /// Further members of the document; `success: false` and `message` are always there for the old clients.
    package let members: [String: JSONValue]
    package let headers: [String: String]

    package init(
        _ name: Name,
        status: Int,
        _ title: String,
        detail: String,
        members: [String: JSONValue] = [:],
        headers: [String: String] = [:]
    ) {
        self.name = name
        self.status = status
        self.title = title
        self.detail = detail
        self.members = members
        self.headers = headers
    }

    /// The document; `requestID` lets a log line be found from an answer.
    package func document(requestID: String?) -> JSONValue {
        var all = members
        all["type"] = .string(name.uri)
        all["title"] = .string(title)
        all["status"] = .int(status)
        all["detail"] = .string(detail)
        all["success"] = .bool(false)
        if all["message"] == nil { all["message"] = .string(detail) }
        if let requestID { all["requestId"] = .string(requestID) }
        return .object(all)
    }
}

extension Problem {
    static func body(_ field: String, _ detail: String) -> Problem {
        Problem(
            .bodyInvalid,
            status: 400,
            "The request body is not valid",
            detail: detail,
            members: ["field": .string(field)]
        )
    }

    static func query(_ name: String, _ detail: String) -> Problem {
        Problem(
            .queryInvalid,
            status: 400,
            "The query is not valid",
            detail: detail,
            members: ["parameter": .string(name)]
        )
    }

    static func runUnknown(_ id: String) -> Problem {
        Problem(.runUnknown, status: 404, "No such run", detail: "There is no run with this id.")
    }

    static func jobUnknown(_ known: [String]) -> Problem {
        Problem(
            .jobUnknown,
            status: 404,
            "No such job",
            detail: "There is no job with this name.",
            members: ["jobs": .array(known.map { .string($0) })]
        )
    }

    static func featureOff(_ what: String) -> Problem {
        Problem(.featureOff, status: 503, "Not configured", detail: "\(what) is not configured on this daemon.")
    }

    /// Any error as an answer; what is not ours becomes a 500 that tells nothing.
    package static func from(_ error: any Error) -> Problem {
        if let problem = error as? Problem { return problem }
        if error is CancellationError {
            return Problem(
                .runInterrupted,
                status: 503,
                "Stopping",
                detail: "The daemon is stopping; ask again.",
                headers: ["Retry-After": "5"]
            )
        }
        guard let ours = error as? TallyError else {
            return Problem(
                .internalError,
                status: 500,
                "Internal error",
                detail: "The request failed; the log has the reason."
            )
        }
        return from(ours)
    }

    private static func from(_ error: TallyError) -> Problem {
        let detail = error.remedy.map { "\(error.summary). \($0)" } ?? error.summary
        let members: [String: JSONValue] = ["kind": .string(error.kind.rawValue), "stage": .string(error.stage)]
        switch error.kind {
        case .settingsInvalid:
            return Problem(
                .configurationRefused,
                status: 422,
                "The configuration is not usable",
                detail: detail,
                members: members
            )
        case .requestInvalid:
            return Problem(.badRequest, status: 400, "The request is not valid", detail: detail, members: members)
        case .notFound:
            return Problem(.notFound, status: 404, "Not found", detail: detail, members: members)
        case .busy:
            return Problem(.runActive, status: 409, "A run is already going", detail: detail, members: members)
        case .migrationsMissing:
            return Problem(
                .migrationsMissing,
                status: 503,
                "The database is not prepared",
                detail: detail,
                members: members
            )
        case .sourceUnreachable, .targetUnreachable, .deadlineExceeded, .serverBusy, .transactionConflict:
            return Problem(
                .dependencyUnavailable,
                status: 503,
                "A database does not answer",
                detail: detail,
                members: members,
                headers: ["Retry-After": "5"]
            )
        case .cancelled:
            return Problem(.runCancelled, status: 409, "Cancelled", detail: detail, members: members)
        case .recordMalformed, .constraintViolated, .credentialsRejected, .permissionDenied, .schemaMismatch,
            .changeImplausible, .tooManyDeadLetters, .proofFailed, .leaseLost, .limitExceeded,
            .protocolViolation, .unknown:
            return Problem(.internalError, status: 500, "The request failed", detail: detail, members: members)
        }
    }
}
