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
        var last: LastHead?
    }

    /// A short head that came in one piece: a client that asks the same again, as probes do, has it read once.
    struct LastHead {
        static var bytesMax: Int { 512 }

        let bytes: [UInt8]
        let head: RequestHead
        let match: Router.Match?
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
        let end = try await awaitBytes(&progress)
        let (head, match) = try await readHead(&progress, until: end)
        progress.served += 1
        progress.pipelined += 1
        var request = request(head)
        if let answer = try answerAtOnce(request, head, match, progress) {
            try await write(answer, within: configuration.writeTimeout)
            return true
        }
        // Without a route the body would be for nobody; a client that asks first need not send it.
        let isBodyWanted = match != nil || !head.expectsContinue
        if isBodyWanted { request.body = try await readBody(head, match?.options.bodyMax, &progress) }
        let start = ContinuousClock.now
        hooks.enter(.handling)
        let response = try await respond(to: request, head, match)
        metric.answered(head.method, match, status: response.status.code)
        metric.took(ContinuousClock.now - start, match)
        let keeps = mayGoOn(head, progress) && (isBodyWanted || head.framing == .none)
        return try await send(response, to: head, keeps: keeps, &progress)
    }

    private func request(_ head: RequestHead) -> ServerRequest {
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
        return request
    }

    private func mayGoOn(_ head: RequestHead, _ progress: Progress) -> Bool {
        head.keepsAlive && !hooks.isDraining() && progress.served < configuration.requestsPerConnectionMax
            && progress.pipelined < configuration.pipelinedMax
    }

    /// The answer to a request that needs no body and nobody else, after which the connection goes on; nil for every
    /// other. No phase is entered: from the table's view the client is waited for all the time.
    private func answerAtOnce(
        _ request: ServerRequest,
        _ head: RequestHead,
        _ match: Router.Match?,
        _ progress: Progress
    ) throws -> (first: [UInt8], body: [UInt8])? {
        guard let match, router.isImmediate(match), head.framing == .none, mayGoOn(head, progress) else { return nil }
        let start = ContinuousClock.now
        guard let response = router.respondAtOnce(to: request, match: match), case .bytes = response.body,
            response.headers[.connection] == nil
        else { return nil }
        metric.answered(head.method, match, status: response.status.code)
        metric.took(ContinuousClock.now - start, match)
        return AnswerBytes.whole(response, isBodyless: head.method == .head)
    }

    /// The handler's answer. One that is late is answered for with 503 at once and then cancelled; the connection
    /// stays counted until it has ended, and `Ended` is thrown.
    private func respond(
        to request: ServerRequest,
        _ head: RequestHead,
        _ match: Router.Match?
    ) async throws -> ServerResponse {
        if let options = match?.options, options.longRunning {
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
                        match,
                        id: request.id
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
    private func refuse(
        _ failure: HTTPFailure,
        method: HTTPRequest.Method? = nil,
        _ match: Router.Match? = nil,
        id: String = RequestNumber.next()
    ) async -> Bool {
        metric.answered(method, match, status: failure.status)
        logger.event(
            .info,
            "request refused",
            [
                .status: "\(failure.status)", .route: match?.pattern ?? "none", .reason: failure.reason,
                .requestID: id,
            ]
        )
        var response = router.errorResponse(failure, id)
        response.headers[.connection] = "close"
        do {
            try await write(AnswerBytes.whole(response, isBodyless: method == .head), within: writeLimit)
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
