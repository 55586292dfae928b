import Foundation
import HTTPTypes
import HTTPWire
import Logging
import Runtime
import Telemetry

/// What a connection asks of, and tells to, the server it belongs to.
struct ConnectionHooks: Sendable {
    let isDraining: @Sendable () -> Bool
    let isEvicted: @Sendable () -> Bool
    let enter: @Sendable (ConnectionPhase) -> Void
}

/// One connection's life: head, body, answer, and again while the client keeps it open.
///
/// Whatever is refused is answered, the answer says `Connection: close`, and what the client still sends is read for a
/// moment, since unread bytes would make the kernel take the answer back.
///
/// A class, so that the tasks and closures of a request share it instead of copying what it holds.
final class Connection<Stream: ByteStream>: Sendable {
    let stream: Stream
    let router: Router
    let configuration: HTTPServerConfiguration
    let hooks: ConnectionHooks
    let metric: HTTPMetric
    let logger: Logger

    init(
        stream: Stream,
        router: Router,
        configuration: HTTPServerConfiguration,
        hooks: ConnectionHooks,
        metric: HTTPMetric,
        logger: Logger
    ) {
        self.stream = stream
        self.router = router
        self.configuration = configuration
        self.hooks = hooks
        self.metric = metric
        self.logger = logger
    }

    /// What one request leaves to the next.
    struct Progress {
        /// Bytes read and not used yet.
        var rest: [UInt8] = []
        var served = 0
        /// Heads in a row that were there without waiting.
        var pipelined = 0
    }

    /// The client ended the connection, or nothing more can be said to it.
    struct Ended: Error {}

    func run() async {
        var progress = Progress()
        do {
            while try await serve(&progress) {}
        } catch let failure as HTTPFailure {
            guard await refuse(failure) else { return }
        } catch {
            return
        }
        await linger()
    }

    /// One request; false when its answer was the last.
    private func serve(_ progress: inout Progress) async throws -> Bool {
        let head = try await readHead(&progress)
        progress.served += 1
        let match = head.target.isServerWide ? nil : router.match(head.method, head.path)
        var request = ServerRequest(
            method: head.method,
            path: head.path,
            query: head.query,
            headers: head.fields,
            body: [],
            remoteAddress: stream.peer,
            id: RequestNumber.next(),
            host: head.host
        )
        request.isServerWide = head.target.isServerWide
        // Without a route the body would be for nobody; a client that asks first need not send it.
        let isBodyWanted = match != nil || !head.expectsContinue
        if isBodyWanted { request.body = try await readBody(head, match?.options.bodyMax, &progress) }
        let start = ContinuousClock.now
        hooks.enter(.handling)
        let response = try await respond(to: request, head, match)
        metric.answered(head.method, route: match?.pattern, status: response.status.code)
        metric.took(ContinuousClock.now - start, route: match?.pattern)
        let keeps =
            head.keepsAlive && (isBodyWanted || head.framing == .none) && !hooks.isDraining()
            && progress.served < configuration.requestsPerConnectionMax
            && progress.pipelined < configuration.pipelinedMax
        return try await send(response, to: head, keeps: keeps, &progress)
    }

    /// Throws `Ended` when there is no further request.
    private func readHead(_ progress: inout Progress) async throws -> RequestHead {
        var parser = RequestHeadParser(limits: configuration.limits)
        var bytes = progress.rest
        progress.rest = []
        var waited = false
        var isIdle = progress.served > 0 && bytes.isEmpty
        var end = ContinuousClock.now + (isIdle ? configuration.idleTimeout : configuration.headTimeout)
        hooks.enter(isIdle ? .idle : .receiving)
        while true {
            if case .head(let head, let rest) = try parser.feed(bytes) {
                progress.rest = rest
                progress.pipelined = waited ? 1 : progress.pipelined + 1
                return head
            }
            if hooks.isDraining(), parser.isEmpty { throw Ended() }
            waited = true
            do {
                bytes = try await stream.read(within: ContinuousClock.now.duration(to: end))
            } catch let error as TallyError where error.kind == .deadlineExceeded {
                if parser.isEmpty { throw Ended() }
                throw HTTPFailure(408, "the request head did not arrive in time")
            }
            if bytes.isEmpty || hooks.isEvicted() {
                if parser.isEmpty { throw Ended() }
                throw endedEarly("head")
            }
            if isIdle {
                isIdle = false
                end = ContinuousClock.now + configuration.headTimeout
                hooks.enter(.receiving)
            }
        }
    }

    private func endedEarly(_ part: String) -> HTTPFailure {
        hooks.isEvicted()
            ? HTTPFailure(408, "the request took too long while others waited")
            : HTTPFailure(400, "the request ended inside its \(part)")
    }

    private func readBody(_ head: RequestHead, _ routeMax: Int?, _ progress: inout Progress) async throws -> [UInt8] {
        let bodyMax = min(routeMax ?? .max, configuration.limits.bodyBytes)
        if case .length(let length) = head.framing, length > bodyMax { throw HTTPFailure.bodyTooLarge(bodyMax) }
        if head.framing == .none || head.framing == .length(0) { return [] }
        hooks.enter(.receiving)
        if head.expectsContinue, progress.rest.isEmpty {
            try await stream.write(Array("HTTP/1.1 100 Continue\r\n\r\n".utf8), within: configuration.writeTimeout)
        }
        let end = ContinuousClock.now + configuration.bodyTimeout
        if case .length(let length) = head.framing {
            var body = progress.rest
            while body.count < length { body += try await moreBody(until: end) }
            progress.rest = Array(body[length...])
            body.removeLast(body.count - length)
            return body
        }
        var decoder = ChunkedDecoder(limits: configuration.limits, bodyMax: bodyMax)
        var bytes = progress.rest
        while true {
            if let rest = try decoder.feed(bytes) {
                progress.rest = rest
                return decoder.body
            }
            bytes = try await moreBody(until: end)
        }
    }

    private func moreBody(until end: ContinuousClock.Instant) async throws -> [UInt8] {
        do {
            let bytes = try await stream.read(within: ContinuousClock.now.duration(to: end))
            guard !bytes.isEmpty, !hooks.isEvicted() else { throw endedEarly("body") }
            return bytes
        } catch let error as TallyError where error.kind == .deadlineExceeded {
            throw HTTPFailure(408, "the body did not arrive in time")
        }
    }

    /// The handler's answer. One that is late is answered for with 503 at once and then cancelled; the connection
    /// stays counted until it has ended, and `Ended` is thrown.
    private func respond(
        to request: ServerRequest,
        _ head: RequestHead,
        _ match: Router.Match?
    ) async throws -> ServerResponse {
        if let options = match?.options, options.longRunning || options.isImmediate {
            return await router.respond(to: request, match: match)
        }
        return try await withThrowingTaskGroup(of: ServerResponse?.self) { group in
            group.addTask { [router] in await router.respond(to: request, match: match) }
            group.addTask { [configuration] in
                // When the connection is cancelled instead, the handler is too, and its answer is awaited.
                if await Shards.pause(configuration.handlerTimeout) { return nil }
                throw CancellationError()
            }
            while let result = await group.nextResult() {
                switch result {
                case .success(let response?):
                    group.cancelAll()
                    return response
                case .success(nil):
                    _ = await refuse(
                        HTTPFailure(503, "the handler took too long"),
                        method: head.method,
                        route: match?.pattern
                    )
                    stream.finishWriting()
                    group.cancelAll()
                    throw Ended()
                case .failure: continue
                }
            }
            throw Ended()
        }
    }

    /// Answers what no handler will see; false when the client cannot be told.
    private func refuse(_ failure: HTTPFailure, method: HTTPRequest.Method? = nil, route: String? = nil) async -> Bool {
        metric.answered(method, route: route, status: failure.status)
        logger.event(
            .info,
            "request refused",
            [.status: "\(failure.status)", .route: route ?? "none", .reason: failure.reason]
        )
        var response = router.errorResponse(failure)
        response.headers[.connection] = "close"
        do {
            hooks.enter(.sending)
            try await stream.write(AnswerBytes.whole(response, isBodyless: method == .head), within: writeLimit)
            return true
        } catch {
            logger.event(.debug, "the client left before it was answered", [.status: "\(failure.status)"])
            return false
        }
    }

    /// Who is closed to make room gets no time to take its answer.
    private var writeLimit: Duration { hooks.isEvicted() ? .zero : configuration.writeTimeout }

    /// Lets the client read the last answer: ends our side, then throws away what it still sends, for a bounded time
    /// and number of bytes.
    private func linger() async {
        stream.finishWriting()
        hooks.enter(.receiving)
        let end = ContinuousClock.now + configuration.lingerTimeout
        var thrownAway = 0
        while thrownAway < 16 << 20, !hooks.isEvicted() {
            let left = ContinuousClock.now.duration(to: end)
            guard left > .zero, let bytes = try? await stream.read(within: left), !bytes.isEmpty else { return }
            thrownAway += bytes.count
        }
    }
}
