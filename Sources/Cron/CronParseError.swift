/// Why an expression is refused: the field and what is wrong with it.
package struct CronParseError: Error, Sendable, Equatable, CustomStringConvertible {
    package let field: String
    package let reason: String
    package var description: String { "\(field): \(reason)" }
}
