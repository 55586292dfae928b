import Foundation
import HTTPTypes
import HTTPWire
import Runtime
import Synchronization

/// One connection's life: head, body, answer, and again while the client keeps it open.
struct Connection<Stream: ByteStream> {
    let stream: Stream
    let router: Router
    let configuration: HTTPServerConfiguration
    let isDraining: @Sendable () -> Bool
    let setIdle: @Sendable (Bool) -> Void

    func run() async {
        var rest: [UInt8] = []
        for served in 0..<configuration.requestsPerConnectionMax {
            do {
                let last = served + 1 == configuration.requestsPerConnectionMax
                guard let left = try await serve(rest, isFirst: served == 0, isLast: last) else { return }
                rest = left
            } catch let failure as HTTPFailure {
                var response = router.errorResponse(failure)
                response.headers[.connection] = "close"
                try? await send(response, to: .get)
                return
            } catch {
                return
            }
        }
    }

    /// One request; the bytes that followed it, or nil when the connection ends.
    private func serve(_ rest: [UInt8], isFirst: Bool, isLast: Bool) async throws -> [UInt8]? {
        guard let (head, afterHead) = try await readHead(rest, isFirst: isFirst) else { return nil }
        let (body, left) = try await readBody(head, afterHead)
        let request = ServerRequest(
            method: head.method,
            path: head.path,
            query: head.query,
            headers: head.fields,
            body: body,
            remoteAddress: stream.peer,
            id: UUID().uuidString.lowercased(),
            host: head.host
        )
        var response = await router.respond(to: request)
        let keeps = head.keepsAlive && !isLast && !isDraining()
        if !keeps { response.headers[.connection] = "close" }
        if keeps, !head.isVersion11 { response.headers[.connection] = "keep-alive" }
        try await send(response, to: head.method)
        return keeps ? left : nil
    }

    private func readHead(_ rest: [UInt8], isFirst: Bool) async throws -> (RequestHead, [UInt8])? {
        var parser = RequestHeadParser(limits: configuration.limits)
        var bytes = rest
        let start = ContinuousClock.now
        setIdle(bytes.isEmpty)
        defer { setIdle(false) }
        while true {
            if !bytes.isEmpty, case .head(let head, let left) = try parser.feed(bytes) { return (head, left) }
            if isDraining(), parser.isEmpty { return nil }
            let idles = parser.isEmpty && !isFirst
            let limit = idles ? configuration.idleTimeout : configuration.headTimeout - start.duration(to: .now)
            do {
                bytes = try await stream.read(within: max(.zero, limit))
            } catch let error as TallyError where error.kind == .deadlineExceeded && !parser.isEmpty {
                throw HTTPFailure(408, "the request head did not arrive in time")
            }
            guard !bytes.isEmpty else {
                if parser.isEmpty { return nil }
                throw HTTPFailure(400, "the request ended inside its head")
            }
            setIdle(false)
        }
    }

    private func readBody(_ head: RequestHead, _ already: [UInt8]) async throws -> ([UInt8], [UInt8]) {
        if head.framing == .none { return ([], already) }
        if head.expectsContinue, already.isEmpty {
            try await stream.write(Array("HTTP/1.1 100 Continue\r\n\r\n".utf8), within: configuration.writeTimeout)
        }
        let end = ContinuousClock.now + configuration.bodyTimeout
        func more() async throws -> [UInt8] {
            let bytes: [UInt8]
            do {
                bytes = try await stream.read(within: max(.zero, ContinuousClock.now.duration(to: end)))
            } catch let error as TallyError where error.kind == .deadlineExceeded {
                throw HTTPFailure(408, "the body did not arrive in time")
            }
            guard !bytes.isEmpty else { throw HTTPFailure(400, "the request ended inside its body") }
            return bytes
        }
        if case .length(let length) = head.framing {
            var body = already
            while body.count < length { body += try await more() }
            return (Array(body[..<length]), Array(body[length...]))
        }
        var decoder = ChunkedDecoder(bodyMax: configuration.limits.bodyBytes)
        var bytes = already
        while true {
            if let left = try decoder.feed(bytes) { return (decoder.body, left) }
            bytes = try await more()
        }
    }

    private func send(_ response: ServerResponse, to method: HTTPRequest.Method) async throws {
        guard case .bytes(let body) = response.body else { return }
        var headers = response.headers
        let bare = response.status.code == 204 || response.status.code == 304
        if !bare { headers[.contentLength] = String(body.count) }
        headers[.date] = HTTPDate.now()
        var bytes = ResponseHead.bytes(response.status, headers)
        if method != .head, !bare { bytes += body }
        try await stream.write(bytes, within: configuration.writeTimeout)
    }
}

/// IMF-fixdate (RFC 9110 §5.6.7).
enum HTTPDate {
    static func now() -> String {
        let style = Date.VerbatimFormatStyle(
            format:
                """
                \(weekday: .abbreviated), \(day: .twoDigits) \(month: .abbreviated) \(year: .defaultDigits) \
                \(hour: .twoDigits(clock: .twentyFourHour, hourCycle: .zeroBased)):\(minute: .twoDigits)\
                :\(second: .twoDigits) GMT
                """,
            locale: Locale(identifier: "en_US_POSIX"),
            timeZone: .gmt,
            calendar: Calendar(identifier: .gregorian)
        )
        return Date().formatted(style)
    }
}
