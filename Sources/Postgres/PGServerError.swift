import CLibPQ
package import Runtime

/// What the server said; its message and detail may hold values, so they show only in debug descriptions.
package struct PGServerError: Error, Sendable, CustomStringConvertible, CustomDebugStringConvertible {
    package let sqlState: String
    package let message: String
    package let detail: String?
    package let constraintName: String?
    package let schemaName: String?
    package let tableName: String?
    package let columnName: String?

    package var description: String { "SQLSTATE \(sqlState)" }
    package var debugDescription: String { "SQLSTATE \(sqlState): \(message) \(detail ?? "")" }

    static func error(from result: OpaquePointer, connectionLost: Bool, during stage: StaticString) -> TallyError {
        func field(_ code: Int) -> String? {
            PQresultErrorField(result, Int32(code)).map { String(cString: $0) }
        }
        func named(_ character: Character) -> String? { field(Int(character.asciiValue ?? 0)) }
        let error = PGServerError(
            sqlState: named("C") ?? "",
            message: named("M") ?? "",
            detail: named("D"),
            constraintName: named("n"),
            schemaName: named("s"),
            tableName: named("t"),
            columnName: named("c")
        )
        let kind = connectionLost && error.sqlState.isEmpty ? TallyError.Kind.targetUnreachable : kind(error.sqlState)
        return TallyError(kind, during: stage, error.summary(kind), detail: error.message, cause: error)
    }

    /// Classes after "PostgreSQL Error Codes", Appendix A of its manual.
    static func kind(_ state: String) -> TallyError.Kind {
        switch state {
        case "": return .targetUnreachable
        case "57P01", "57P02", "57P03": return .targetUnreachable
        case "40001", "40P01", "40003": return .transactionConflict
        case "42501": return .permissionDenied
        case "57014": return .cancelled
        case "55P03": return .serverBusy
        case "25006": return .permissionDenied
        // Limits that a row's own size or depth meets: an index row too large, a document nested too deeply. The
        // class's other codes are about the statement.
        case "54000", "54001": return .recordMalformed
        case "42P01", "42703", "42804", "42P10", "3F000": return .schemaMismatch
        default: break
        }
        switch state.prefix(2) {
        case "08": return .targetUnreachable
        case "22", "21": return .recordMalformed
        case "23", "44", "P0": return .constraintViolated
        case "28": return .credentialsRejected
        case "53": return .serverBusy
        default: return .unknown
        }
    }

    private func summary(_ kind: TallyError.Kind) -> String {
        var text = "PostgreSQL answered SQLSTATE \(sqlState.isEmpty ? "none" : sqlState)"
        if let tableName { text += " on table \"\(tableName)\"" }
        if let columnName { text += ", column \"\(columnName)\"" }
        if let constraintName { text += ", constraint \"\(constraintName)\"" }
        // These classes name objects of the schema, never values.
        if kind == .schemaMismatch || kind == .permissionDenied { text += ": \(message)" }
        return text
    }
}

extension TallyError {
    /// The server's own error, when one is the cause.
    package var serverError: PGServerError? { cause as? PGServerError }
}
