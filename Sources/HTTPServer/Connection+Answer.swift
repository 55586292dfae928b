import Foundation
import HTTPTypes
import HTTPWire
import Runtime

/// The bytes of an answer whose body is there.
enum AnswerBytes {
    /// Up to here a body is sent in one piece with its head, which costs a copy and saves a system call.
    private static let bodyCopyMax = 8_192

    /// - Parameter isBodyless: the head alone, as `HEAD` wants it.
    /// - Returns: what is sent first, and a body that is too large to be copied behind it: many clients that take it
    ///   slowly then share the bytes of one.
    static func whole(_ response: ServerResponse, isBodyless: Bool) -> (first: [UInt8], body: [UInt8]) {
        guard case .bytes(let body) = response.body else { return (head(response), []) }
        let mayHaveBody = mayHaveBody(response.status)
        let sent = isBodyless || !mayHaveBody ? [] : body
        var own = mayHaveBody ? "Content-Length: \(body.count)\r\nDate: " : "Date: "
        own += HTTPDate.now()
        own += "\r\n"
        var bytes = ResponseHead.bytes(
            response.status,
            response.headers,
            leaving: [.transferEncoding, .contentLength, .date],
            shared: response.shared?.lines ?? [],
            lines: own,
            room: sent.count > bodyCopyMax ? 0 : sent.count
        )
        guard sent.count <= bodyCopyMax else { return (bytes, sent) }
        bytes += sent
        return (bytes, [])
    }

    static func head(_ response: ServerResponse) -> [UInt8] {
        let own = "Date: " + HTTPDate.now() + "\r\n"
        let shared = response.shared?.lines ?? []
        return ResponseHead.bytes(response.status, response.headers, leaving: [.date], shared: shared, lines: own)
    }

    /// 204 and 304 end with their head (RFC 9110 §15.3.5, §15.4.5).
    static func mayHaveBody(_ status: HTTPResponse.Status) -> Bool {
        status.code != 204 && status.code != 304
    }
}

extension Connection {
    /// Sends an answer; returns whether the connection goes on.
    func send(
        _ response: ServerResponse,
        to head: RequestHead,
        keeps: Bool,
        _ progress: inout Progress
    ) async throws -> Bool {
        var response = response
        let asksToClose = response.headers[.connection]?.lowercased() == "close"
        if !keeps { response.headers[.connection] = "close" }
        guard case .stream(let body) = response.body else {
            let answer = AnswerBytes.whole(response, isBodyless: head.method == .head)
            try await write(answer, within: configuration.writeTimeout)
            return keeps && !asksToClose
        }
        response.headers[.contentLength] = nil
        // Without chunks the end of the body is the end of the connection.
        response.headers[.transferEncoding] = head.isVersion11 ? "chunked" : nil
        hooks.enter(body.isEndless ? .streaming : .sending)
        try await stream.write(AnswerBytes.head(response), within: configuration.writeTimeout)
        if head.method == .head || !AnswerBytes.mayHaveBody(response.status) { return keeps && !asksToClose }
        let isChunked = head.isVersion11
        let early = try await produce(body, isChunked: isChunked, room: SocketStream.readBytesMax - progress.rest.count)
        if isChunked { try await stream.write(ChunkedEncoder.end, within: configuration.writeTimeout) }
        progress.rest += early
        return keeps && !asksToClose && !hooks.isDraining()
    }

    /// Writes a whole answer. Only one that the kernel does not take at once may be cut to make room for somebody.
    func write(_ answer: (first: [UInt8], body: [UInt8]), within limit: Duration) async throws {
        for bytes in [answer.first, answer.body] where !bytes.isEmpty {
            let sent = try stream.writeNow(bytes)
            guard sent < bytes.count else { continue }
            hooks.enter(.sending)
            try await stream.write(bytes, from: sent, within: limit)
        }
    }

    private enum StreamEvent: Sendable {
        case produced
        /// The client ended its side, or the server hung up on it.
        case inputEnded
        case early([UInt8])
    }

    /// Runs the producer and watches the client; returns what the client sent meanwhile, which is the next request.
    ///
    /// For an endless stream the end of the client's side counts as its leaving: with no request left to come, it is
    /// the only sign that a silent stream gets. Throws when the client left or the producer failed.
    private func produce(_ body: ResponseStream, isChunked: Bool, room: Int) async throws -> [UInt8] {
        let limit = configuration.writeTimeout
        let stream = stream
        return try await withThrowingTaskGroup(of: StreamEvent.self) { group in
            group.addTask {
                try await body.produce { piece in
                    guard !piece.isEmpty else { return }
                    try await stream.write(isChunked ? ChunkedEncoder.chunk(piece) : piece, within: limit)
                }
                return .produced
            }
            if room > 0 { group.addTask { try await Self.watch(stream) } }
            defer { group.cancelAll() }
            var early: [UInt8] = []
            while let event = try await group.next() {
                switch event {
                case .produced:
                    group.cancelAll()
                    // The watch may have read something in the same moment.
                    while let last = await group.nextResult() {
                        if case .success(.early(let bytes)) = last { early += bytes }
                    }
                    return early
                case .inputEnded:
                    if hooks.isEvicted() { throw Ended() }
                    // It may have ended its side alone and still read; a body with an end is then served whole.
                    guard body.isEndless else { continue }
                    guard hooks.isDraining() else { throw Ended() }
                    group.cancelAll()
                    // The producer ends here, most likely by throwing that it was cancelled.
                    while await group.nextResult() != nil {}
                    return early
                case .early(let bytes):
                    early += bytes
                    // What it sends beyond this stays with the kernel, and so does its end; writing will tell.
                    if early.count < room { group.addTask { try await Self.watch(stream) } }
                }
            }
            throw Ended()
        }
    }

    private static func watch(_ stream: Stream) async throws -> StreamEvent {
        let bytes = try await stream.read(within: .seconds(1 << 30))
        return bytes.isEmpty ? .inputEnded : .early(bytes)
    }
}
