import Engine
import Foundation
import HTTPServer
import HTTPTypes
import Runtime

/// Server-sent events (WHATWG HTML, "Server-sent events"): the text a browser reads piece by piece.
struct EventStream: Sendable {
    let hub: EventHub
    /// How long a stream is silent at most.
    var heartbeat = Duration.seconds(15)

    /// The answer that goes on until the client leaves, the run ends, the caller's token does or the daemon stops.
    ///
    /// It also ends when the ledger can be read no more, and is refused until it can: whoever watches would take the
    /// silence for no news.
    ///
    /// `first` gives the state from which the news go on: all runs under way, or the one that is watched.
    func response(
        run: RunID?,
        lastEventID: String?,
        until end: Date? = nil,
        first: @escaping @Sendable () async throws -> [JSONValue]
    ) throws -> ServerResponse {
        guard hub.watcherCount < EventHub.watchersMax else {
            throw Problem(
                .tooManyWatchers,
                status: 503,
                "Too many watch already",
                detail: "At most \(EventHub.watchersMax) streams of events are open at once; ask for states instead.",
                headers: ["Retry-After": "10"]
            )
        }
        if let outage = hub.outage { throw outage }
        let (hub, heartbeat) = (hub, heartbeat)
        let stream = ResponseStream(isEndless: true) { write in
            try await hub.watching(run, lastEventID: lastEventID) { missed, news in
                try await write(Array("retry: 2000\n\n".utf8))
                for event in missed ?? [] {
                    try await write(Self.text("run", id: event.id, event.body))
                }
                let isNew = lastEventID == nil || missed == nil
                // Who comes back may have missed the end, or seen it already: then no news will come any more.
                for body in isNew || run != nil ? try await first() : [] {
                    let isOver = run != nil && Self.isFinal(body)
                    if isNew { try await write(Self.text("run", id: nil, body)) }
                    if isOver { return try await write(Self.text("end", id: nil, body)) }
                }
                try await Self.pass(news, heartbeat, endsWithRun: run != nil, until: end, write)
            }
        }
        var headers: HTTPFields = [.contentType: "text/event-stream; charset=utf-8", .cacheControl: "no-store"]
        if let name = HTTPField.Name("X-Accel-Buffering") { headers[name] = "no" }
        return ServerResponse(status: .ok, headers: headers, body: .stream(stream))
    }

    private static func pass(
        _ news: BoundedChannel<RunEvent>,
        _ heartbeat: Duration,
        endsWithRun: Bool,
        until end: Date?,
        _ write: ResponseStream.Write
    ) async throws {
        while true {
            // A Duration holds fewer seconds than a Date may be away.
            let left = end.map { Duration.seconds(min($0.timeIntervalSinceNow, 86_400)) } ?? heartbeat
            // Who watches has no more rights than the token has; the client comes back with a new one or is refused.
            guard left > .zero else { return }
            let event: RunEvent?
            do {
                event = try await withDeadline(min(left, heartbeat), during: "events.wait") { try await news.receive() }
            } catch let error as TallyError where error.kind == .deadlineExceeded {
                // A comment: keeps proxies awake and finds out who is gone.
                try await write(Array(": \n\n".utf8))
                continue
            }
            guard let event else { return }
            try await write(text("run", id: event.id, event.body))
            if endsWithRun, event.isFinal { return try await write(text("end", id: event.id, event.body)) }
        }
    }

    private static func isFinal(_ body: JSONValue) -> Bool {
        body["state"]?.string.flatMap { RunState(rawValue: $0) }?.isFinal ?? false
    }

    static func text(_ name: String, id: String?, _ body: JSONValue) -> [UInt8] {
        var text = id.map { "id: \($0)\n" } ?? ""
        text += "event: \(name)\ndata: \(body.text)\n\n"
        return Array(text.utf8)
    }
}
