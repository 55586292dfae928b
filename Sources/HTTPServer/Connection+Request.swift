import Foundation
import HTTPWire
import Runtime

extension Connection {
    /// Waits for the first bytes of a request when none are left; returns when its head must be there.
    ///
    /// Throws `Ended` when there is no further request.
    func awaitBytes(_ progress: inout Progress) async throws -> ContinuousClock.Instant {
        let isIdle = progress.served > 0 && progress.rest.isEmpty
        guard progress.rest.isEmpty else { return ContinuousClock.now + configuration.headTimeout }
        if hooks.isDraining() { throw Ended() }
        hooks.enter(isIdle ? .idle : .receiving)
        let end = ContinuousClock.now + configuration.headTimeout
        do {
            progress.rest = try await stream.read(
                within: isIdle ? configuration.idleTimeout : configuration.headTimeout
            )
        } catch let error as TallyError where error.kind == .deadlineExceeded {
            throw Ended()
        }
        progress.pipelined = 0
        if progress.rest.isEmpty || hooks.isEvicted() { throw Ended() }
        return isIdle ? ContinuousClock.now + configuration.headTimeout : end
    }

    /// The head that begins with `progress.rest`, and its route.
    func readHead(
        _ progress: inout Progress,
        until end: ContinuousClock.Instant
    ) async throws -> (RequestHead, Router.Match?) {
        if let last = progress.last, last.bytes == progress.rest {
            progress.rest = []
            return (last.head, last.match)
        }
        var parser = RequestHeadParser(limits: configuration.limits)
        var bytes = progress.rest
        progress.rest = []
        var pieces = 0
        while true {
            pieces += 1
            if case .head(let head, let rest) = try parser.feed(bytes) {
                progress.rest = rest
                let match = head.target.isServerWide ? nil : router.match(head.method, head.path)
                let isPlain = pieces == 1 && rest.isEmpty && bytes.count <= LastHead.bytesMax && head.framing == .none
                progress.last = isPlain ? LastHead(bytes: bytes, head: head, match: match) : nil
                return (head, match)
            }
            if hooks.isDraining(), parser.isEmpty { throw Ended() }
            if pieces == 1 { hooks.enter(.receiving) }
            progress.pipelined = 0
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
        }
    }

    private func endedEarly(_ part: String) -> HTTPFailure {
        hooks.isEvicted()
            ? HTTPFailure(408, "the request took too long while others waited")
            : HTTPFailure(400, "the request ended inside its \(part)")
    }

    func readBody(_ head: RequestHead, _ routeMax: Int?, _ progress: inout Progress) async throws -> [UInt8] {
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
}
