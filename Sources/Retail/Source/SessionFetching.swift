package import Foundation
import FoundationNetworking
import Runtime
import Synchronization

/// `RetailFetching` over URLSession: a total deadline, a bounded body, no redirects.
package final class SessionFetching: RetailFetching {
    private let base: URL
    private let deadline: Duration
    private let bodyMax: Int

    /// - Parameter bodyMax: bytes; a body is held in memory whole.
    package init(base: URL, deadline: Duration = .seconds(60), bodyMax: Int = 64 << 20) {
        self.base = base
        self.deadline = deadline
        self.bodyMax = bodyMax
    }

    package func get(
        _ path: String,
        query: [(String, String)],
        headers: [(String, String)]
    ) async throws -> RetailAnswer {
        var url = base.appending(path: path)
        if !query.isEmpty { url.append(queryItems: query.map { URLQueryItem(name: $0.0, value: $0.1) }) }
        var request = URLRequest(url: url)
        for (name, value) in headers { request.setValue(value, forHTTPHeaderField: name) }
        let (made, bodyMax) = (request, bodyMax)
        return try await withDeadline(deadline, during: "retail.fetch") {
            try await OneRequest(bodyMax: bodyMax).run(made)
        }
    }
}

/// One request in a session of its own, so that its delegate needs no table of tasks.
private final class OneRequest: NSObject, URLSessionDataDelegate, Sendable {
    fileprivate struct State {
        var status = 0
        var body: [UInt8] = []
        var isTooLarge = false
        var continuation: CheckedContinuation<RetailAnswer, any Error>?
        var session: URLSession?
        var isCancelled = false
    }

    private let bodyMax: Int
    private let state = Mutex(State())

    init(bodyMax: Int) { self.bodyMax = bodyMax }

    func run(_ request: URLRequest) async throws -> RetailAnswer {
        try await withTaskCancellationHandler {
            try await withCheckedThrowingContinuation { continuation in
                let session = URLSession(configuration: .ephemeral, delegate: self, delegateQueue: nil)
                let isCancelled = state.withLock { state in
                    state.continuation = continuation
                    state.session = session
                    return state.isCancelled
                }
                session.dataTask(with: request).resume()
                session.finishTasksAndInvalidate()
                if isCancelled { session.invalidateAndCancel() }
            }
        } onCancel: {
            let session = state.withLock { state in
                state.isCancelled = true
                return state.session
            }
            session?.invalidateAndCancel()
        }
    }

    func urlSession(
        _ session: URLSession,
        task: URLSessionTask,
        willPerformHTTPRedirection response: HTTPURLResponse,
        newRequest request: URLRequest,
        completionHandler: @escaping (URLRequest?) -> Void
    ) {
        // A redirect would carry the key to somebody else.
        completionHandler(nil)
    }

    func urlSession(
        _ session: URLSession,
        dataTask: URLSessionDataTask,
        didReceive response: URLResponse,
        completionHandler: @escaping (URLSession.ResponseDisposition) -> Void
    ) {
        state.withLock { $0.status = (response as? HTTPURLResponse)?.statusCode ?? 0 }
        completionHandler(.allow)
    }

    func urlSession(_ session: URLSession, dataTask: URLSessionDataTask, didReceive data: Data) {
        let tooLarge = state.withLock { state in
            if state.body.count + data.count > bodyMax { state.isTooLarge = true }
            if !state.isTooLarge { state.body.append(contentsOf: data) }
            return state.isTooLarge
        }
        if tooLarge { dataTask.cancel() }
    }

    func urlSession(_ session: URLSession, task: URLSessionTask, didCompleteWithError error: (any Error)?) {
        let (ended, continuation) = state.withLock { state in
            defer { state.continuation = nil }
            return (state.outcome(error, bodyMax: bodyMax), state.continuation)
        }
        continuation?.resume(with: ended)
    }
}

extension OneRequest.State {
    fileprivate mutating func outcome(_ error: (any Error)?, bodyMax: Int) -> Result<RetailAnswer, any Error> {
        defer { session = nil }
        if isTooLarge {
            return .failure(
                TallyError(.limitExceeded, during: "retail.fetch", "the answer is larger than \(bodyMax) bytes")
            )
        }
        if isCancelled { return .failure(CancellationError()) }
        if let error {
            return .failure(
                TallyError(
                    .sourceUnreachable,
                    during: "retail.fetch",
                    "the connection to the source failed or its answer broke off",
                    remedy: "Check API_BASE_URL and that the source runs.",
                    cause: error
                )
            )
        }
        return .success(RetailAnswer(status: status, body: body))
    }
}
