/// Quoting of names and literals where SQL takes no parameter.
///
/// It goes by bytes: to Swift a quote and the combining mark behind it are one `Character`, which is no quote.
package enum PGIdentifier {
    package static func quote(_ name: String) -> String {
        "\"" + doubling("\"", in: name) + "\""
    }

    /// A standard literal; a backslash makes it an `E''` literal, so that the session's settings do not matter.
    package static func quoteLiteral(_ text: String) -> String {
        (text.utf8.contains(UInt8(ascii: "\\")) ? "E'" : "'") + doubling("'\\", in: text) + "'"
    }

    private static func doubling(_ marks: StaticString, in text: String) -> String {
        let marks = Array("\(marks)".utf8)
        return String(
            decoding: text.utf8.flatMap { repeatElement($0, count: marks.contains($0) ? 2 : 1) },
            as: UTF8.self
        )
    }
}
