/// A value that cannot be printed: descriptions and mirrors show `<redacted>`, the value is lent to a closure.
package struct Secret<Value: Sendable>: Sendable, CustomStringConvertible, CustomDebugStringConvertible,
    CustomReflectable
{
    private let value: Value

    package init(_ value: Value) {
        self.value = value
    }

    /// Lends the value for the length of `body`.
    package func expose<Result>(_ body: (Value) throws -> Result) rethrows -> Result {
        try body(value)
    }

    package var description: String { "<redacted>" }
    package var debugDescription: String { "<redacted>" }
    package var customMirror: Mirror { Mirror(self, children: [:]) }
}
