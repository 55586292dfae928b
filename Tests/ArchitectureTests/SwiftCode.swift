/// Enough of Swift's lexical grammar to tell code from comments and string literals.
///
/// Regex literals are not known to it; a quotation mark in one hides at most the rest of its line. It works on bytes
/// and runs in a debug build over the whole project, so it takes no detours through `String`.
struct SwiftCode {
    private static let newline = UInt8(ascii: "\n")
    private static let space = UInt8(ascii: " ")
    private static let slash = UInt8(ascii: "/")
    private static let star = UInt8(ascii: "*")
    private static let quote = UInt8(ascii: "\"")
    private static let hash = UInt8(ascii: "#")
    private static let backslash = UInt8(ascii: "\\")
    private static let open = UInt8(ascii: "(")
    private static let close = UInt8(ascii: ")")

    /// The text, and three NULs so that looking ahead needs no check.
    private let input: [UInt8]
    private let end: Int
    private var output: [UInt8]
    private var at = 0

    /// `text` with every comment and all string text replaced by spaces; line breaks and interpolated code stay.
    static func withoutCommentsAndStrings(_ text: String) -> String {
        var scanner = SwiftCode(text)
        while scanner.at < scanner.end {
            scanner.scanCode(untilClosingParenthesis: false)
        }
        return String(decoding: scanner.output, as: UTF8.self)
    }

    private init(_ text: String) {
        let bytes = Array(text.utf8)
        input = bytes + [0, 0, 0]
        end = bytes.count
        output = bytes
    }

    private mutating func blank(_ count: Int) {
        for index in at..<min(at + count, end) where input[index] != Self.newline {
            output[index] = Self.space
        }
        at = min(at + count, end)
    }

    private mutating func scanCode(untilClosingParenthesis: Bool) {
        var depth = 0
        while at < end {
            let byte = input[at]
            if byte == Self.slash, input[at + 1] == Self.slash {
                var line = at
                while line < end, input[line] != Self.newline { line += 1 }
                blank(line - at)
            } else if byte == Self.slash, input[at + 1] == Self.star {
                scanBlockComment()
            } else if byte == Self.quote || byte == Self.hash, let hashes = stringStart() {
                scanString(hashes: hashes)
            } else {
                if byte == Self.open { depth += 1 }
                if byte == Self.close {
                    depth -= 1
                    if untilClosingParenthesis, depth < 0 { return }
                }
                at += 1
            }
        }
    }

    private mutating func scanBlockComment() {
        var depth = 0
        repeat {
            if input[at] == Self.slash, input[at + 1] == Self.star {
                depth += 1
                blank(2)
            } else if input[at] == Self.star, input[at + 1] == Self.slash {
                depth -= 1
                blank(2)
            } else {
                blank(1)
            }
        } while depth > 0 && at < end
    }

    /// The number of `#` before a quotation mark here, or nil where no string literal begins.
    private func stringStart() -> Int? {
        var hashes = 0
        while input[at + hashes] == Self.hash { hashes += 1 }
        return input[at + hashes] == Self.quote ? hashes : nil
    }

    private func hashesFollow(_ count: Int, at position: Int) -> Bool {
        position + count <= end && (0..<count).allSatisfy { input[position + $0] == Self.hash }
    }

    private func quotesFollow(_ count: Int) -> Bool {
        (0..<count).allSatisfy { input[at + $0] == Self.quote }
    }

    private mutating func scanString(hashes: Int) {
        blank(hashes)
        let quotes = quotesFollow(3) ? 3 : 1
        blank(quotes)
        while at < end {
            let byte = input[at]
            if quotes == 1, byte == Self.newline { return }
            if byte == Self.backslash, hashesFollow(hashes, at: at + 1) {
                blank(1 + hashes)
                if input[at] == Self.open {
                    // Past the parenthesis: the one that closes it ends the interpolation.
                    at += 1
                    scanCode(untilClosingParenthesis: true)
                } else {
                    blank(1)
                }
            } else if byte == Self.quote, quotesFollow(quotes), hashesFollow(hashes, at: at + quotes) {
                blank(quotes + hashes)
                return
            } else {
                blank(1)
            }
        }
    }
}
