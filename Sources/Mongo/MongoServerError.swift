package import Runtime

/// What the driver or the server said went wrong; the cause of a `TallyError` from this module.
///
/// `message` is the server's own and may quote values: it shows only in `String(reflecting:)` of the error around it.
package struct MongoServerError: Error, Sendable, Equatable, CustomStringConvertible, CustomDebugStringConvertible {
    /// Which part failed; `code` is the server's only for `.server`, else libmongoc's.
    package enum Domain: String, Sendable, CaseIterable {
        case server, network, serverSelection, authentication, wire, client
    }

    package let domain: Domain
    package let code: Int32
    /// The server's name for its code, such as `CursorNotFound`; nil when it gave none.
    package let codeName: String?
    /// The reply's `errorLabels`.
    package let labels: [String]
    package let message: String

    package init(domain: Domain, code: Int32, codeName: String? = nil, labels: [String] = [], message: String) {
        self.domain = domain
        self.code = code
        self.codeName = codeName
        self.labels = labels
        self.message = message
    }

    package var description: String {
        let name = codeName.map { " \($0)" } ?? ""
        return "MongoDB \(domain.rawValue) error \(code)\(name)"
    }
    package var debugDescription: String { "\(description) \(labels): \(message)" }
}

extension TallyError {
    /// What MongoDB said, when that is the cause.
    package var mongoError: MongoServerError? { cause as? MongoServerError }
}

extension MongoServerError {
    /// The error in the house's shape; the summary names code and domain, never the message.
    func tallyError(during stage: StaticString) -> TallyError {
        let kind = kind
        return TallyError(kind, during: stage, summary, remedy: Self.remedy(kind), cause: self)
    }

    /// The one table from MongoDB's codes to ours (src/mongo/base/error_codes.yml).
    package var kind: TallyError.Kind {
        switch domain {
        case .network, .serverSelection: .sourceUnreachable
        case .authentication: .credentialsRejected
        case .wire: .protocolViolation
        case .client: .unknown
        case .server: serverKind
        }
    }

    private var serverKind: TallyError.Kind {
        switch code {
        // UserNotFound, AuthenticationFailed, MechanismUnavailable, AtlasError (its failed logins).
        case 11, 18, 334, 8000: .credentialsRejected
        // Unauthorized, RoleNotFound.
        case 13, 31: .permissionDenied
        // MaxTimeMSExpired, ExceededTimeLimit.
        case 50, 262: .deadlineExceeded
        // LockTimeout, LockBusy, TooManyConcurrent…, TemporarilyUnavailable, IngressRequestRateLimitExceeded.
        case 24, 46, 365, 462: .serverBusy
        // BSONObjectTooLarge, ExceededMemoryLimit, QueryExceededMemoryLimitNoDiskUseAllowed.
        case 10334, 146, 292: .limitExceeded
        case _ where Self.passing.contains(code): .sourceUnreachable
        default: labels.contains { Self.passingLabels.contains($0) } ? .sourceUnreachable : .unknown
        }
    }

    /// States that pass by themselves: elections, restarts, killed or forgotten cursors, moving shards.
    private static let passing: Set<Int32> = [
        6,  // HostUnreachable
        7,  // HostNotFound
        43,  // CursorNotFound
        63,  // StaleShardVersion
        89,  // NetworkTimeout
        91,  // ShutdownInProgress
        133,  // FailedToSatisfyReadPreference
        134,  // ReadConcernMajorityNotAvailableYet
        136,  // CappedPositionLost
        150,  // StaleEpoch
        175,  // QueryPlanKilled
        189,  // PrimarySteppedDown
        202,  // NetworkInterfaceExceededTimeLimit
        237,  // CursorKilled
        239,  // SnapshotTooOld
        246,  // SnapshotUnavailable
        317,  // ConnectionPoolExpired
        384,  // ConnectionError
        9001,  // SocketException
        10107,  // NotWritablePrimary
        11600,  // InterruptedAtShutdown
        11601,  // Interrupted
        11602,  // InterruptedDueToReplStateChange
        13388,  // StaleConfig
        13435,  // NotPrimaryNoSecondaryOk
        13436,  // NotPrimaryOrSecondary
    ]

    private static let passingLabels: Set<String> = [
        "RetryableWriteError", "RetryableError", "SystemOverloadedError", "TransientTransactionError",
        "ResumableChangeStreamError", "NetworkError",
    ]

    private var summary: String {
        switch domain {
        case .server: "the MongoDB server answered \(codeName ?? "an error") (code \(code))"
        case .network: "the connection to the MongoDB server broke or timed out"
        case .serverSelection: "no suitable MongoDB server answered in time"
        case .authentication: "the MongoDB server refused the credentials"
        case .wire: "the MongoDB server speaks a protocol this driver does not"
        case .client: "the MongoDB driver refused the call (code \(code))"
        }
    }

    private static func remedy(_ kind: TallyError.Kind) -> String? {
        switch kind {
        case .credentialsRejected:
            "Check user and password, and authSource in the URL: without it the URL's database is asked"
        case .permissionDenied: "Grant the user the role `read` on the database"
        case .sourceUnreachable:
            "Check that the server runs and is reachable at the URL's hosts, with TLS as it expects"
        default: nil
        }
    }
}
