import TestKit

/// Requests by grammar, and then broken ones: the same seed gives the same bytes.
struct RequestGenerator {
    struct Sample {
        let bytes: [UInt8]
        /// Made by the grammar alone, so every parser must take it.
        let isPlain: Bool
    }

    private var random: SeededGenerator

    init(seed: UInt64) {
        random = SeededGenerator(seed: seed)
    }

    mutating func next() -> Sample {
        var lines = head()
        let body = frame(&lines)
        let isPlain = chance(35)
        if !isPlain, chance(45) { breakLines(&lines) }
        var bytes = Array((lines.joined(separator: "\r\n") + "\r\n\r\n").utf8) + body
        if chance(30) { bytes += Array("GET /next HTTP/1.1\r\nHost: b\r\n\r\n".utf8) }
        if !isPlain, chance(20), let end = bytes.lastIndex(of: UInt8(ascii: ";")) {
            bytes.insert(pick([1, 13, 127]), at: end + 1)
        }
        if !isPlain { for _ in 0..<number(0...3) { breakBytes(&bytes) } }
        return Sample(bytes: bytes.isEmpty ? [10] : bytes, isPlain: isPlain)
    }

    /// Where to cut bytes into two, anywhere.
    mutating func cut(_ count: Int) -> Int { number(0...count) }

    private mutating func number(_ range: ClosedRange<Int>) -> Int { Int.random(in: range, using: &random) }
    private mutating func chance(_ percent: Int) -> Bool { number(1...100) <= percent }
    private mutating func pick<Element>(_ choices: [Element]) -> Element { choices[number(0...(choices.count - 1))] }

    private mutating func text(_ alphabet: String, _ length: ClosedRange<Int>) -> String {
        let letters = Array(alphabet)
        return String((0..<number(length)).map { _ in pick(letters) })
    }

    private mutating func head() -> [String] {
        let token = "abcXYZ019!#$%&'*+-.^_`|~"
        let method = chance(80) ? pick(["GET", "POST", "PUT", "DELETE", "HEAD", "OPTIONS"]) : text(token, 1...9)
        var target = "/" + (0..<number(0...4)).map { _ in text("abcZ09-_~!$&'()*+,;=:@", 1...8) }.joined(separator: "/")
        if chance(20) { target += pick(["/%41%c3%a9", "/a%20b", "/%25"]) }
        if chance(30) { target += "?" + text("ab=&+1/?", 0...12) }
        if chance(10) { target = "http://" + pick(["h", "h:80", "[::1]:4000"]) + target }
        if chance(3) { return ["OPTIONS * HTTP/1.1", "Host: a"] }
        var lines = ["\(method) \(target) HTTP/1.\(chance(90) ? 1 : 0)"]
        lines.append(pick(["Host: ", "host:", "HOST:\t"]) + pick(["a", "a.example:4000", "[::1]", "127.0.0.1:80"]))
        for _ in 0..<number(0...5) {
            let name = "X-" + text(token, 1...8)
            let inner = text("abc 019\t\"(),/:;<=>?@[]{}é", 0...20)
            lines.append(name + ":" + pick(["", " ", "\t "]) + inner + pick(["", " "]))
        }
        if chance(20) { lines.append("Connection: " + pick(["close", "keep-alive", "a, Close"])) }
        if chance(5) { lines.append("Expect: 100-continue") }
        return lines
    }

    /// Adds what tells the body's end; returns the body.
    private mutating func frame(_ lines: inout [String]) -> [UInt8] {
        let isOld = lines[0].hasSuffix("1.0")
        switch number(1...3) {
        case 1: return []
        case 2:
            let body = text("abc\r\n0:", 0...30)
            lines.append("Content-Length: " + pick(["", "0"]) + "\(body.utf8.count)")
            return Array(body.utf8)
        default:
            if isOld { return [] }
            lines.append("Transfer-Encoding: " + pick(["chunked", "Chunked"]))
            var body = ""
            for _ in 0..<number(0...4) {
                let chunk = text("abc\r\n0", 1...20)
                let size = String(chunk.utf8.count, radix: 16, uppercase: chance(50))
                body += pick(["", "0"]) + size + pick(["", ";a=b", " ", ";x=\"y z\""]) + "\r\n" + chunk + "\r\n"
            }
            return Array((body + "0\r\n" + pick(["", "", "Trailer: x\r\n", "A: b\r\nC:\r\n"]) + "\r\n").utf8)
        }
    }

    private mutating func breakLines(_ lines: inout [String]) {
        let added = [
            "Content-Length: 3", "Content-Length: 3, 3", "Content-Length: +3", "Content-Length: 3 3",
            "Content-Length: 9999999", "Transfer-Encoding: chunked", "Transfer-Encoding: gzip, chunked",
            "Transfer-Encoding: identity", "Host: b", " folded: value", "\tfolded", "No colon", "Space : x", ": empty",
            "Expect: tea", "A: b\u{1}c", "A: b\u{7f}", "Host: a b", "Host: a/b", "Host: u@h",
        ]
        let starts = [
            "GET /a HTTP/1.2", "GET /a HTTP/2.0", "GET /a HTTP/11", "GET /a http/1.1", "GET  /a HTTP/1.1", "GET /a",
            "GET /a HTTP/1.1 ", "CONNECT a:80 HTTP/1.1", "GET a HTTP/1.1", "GET /a#b HTTP/1.1", "GET /../a HTTP/1.1",
            "GET /%2e%2E/a HTTP/1.1", "GET /%zz HTTP/1.1", "GET /%ff HTTP/1.1", "GET http:///a HTTP/1.1",
            "* * HTTP/1.1",
            "GET /a%2fb HTTP/1.1", "GET /\(String(repeating: "a", count: 8_300)) HTTP/1.1", "G@T / HTTP/1.1",
        ]
        switch number(1...5) {
        case 1: lines[0] = pick(starts)
        case 2: lines.insert(pick(added), at: number(1...lines.count))
        case 3: lines.insert(lines[lines.count - 1], at: number(1...lines.count))
        case 4: lines.remove(at: number(0...(lines.count - 1)))
        default: if chance(50) { lines.insert("", at: 0) } else { lines += Array(repeating: "A: b", count: 101) }
        }
        if lines.isEmpty { lines = [""] }
    }

    private mutating func breakBytes(_ bytes: inout [UInt8]) {
        guard !bytes.isEmpty else { return }
        let odd: [UInt8] = [0, 1, 9, 10, 13, 32, 35, 37, 44, 47, 48, 58, 59, 127, 128, 255, 46, 49]
        let at = number(0...(bytes.count - 1))
        switch number(1...6) {
        case 1: bytes[at] = pick(odd)
        case 2: bytes.insert(pick(odd), at: at)
        case 3: if bytes.count > 1 { bytes.remove(at: at) }
        case 4: bytes.removeLast(bytes.count - max(1, at))
        case 5: if let end = bytes[at...].firstIndex(of: 13) { bytes.remove(at: end) }
        default: if let end = bytes[at...].firstIndex(of: 10) { bytes.insert(13, at: end) }
        }
    }
}
