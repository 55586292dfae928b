package import Foundation
import FoundationNetworking
import Runtime
import Synchronization

/// Outbound HTTP over Foundation's URLSession (libcurl on Linux): no cookies, no cache, gzip decoded.
package final class URLSessionTransport: HTTPTransport {
    private let userAgent: String
    private let connectionsPerHostMax: Int
    private let exchanges = ExchangeDelegate()
    /// Made for the first request: who never asks anybody is spared what URLSession and libcurl hold.
    private let made = Mutex<URLSession?>(nil)

    package init(userAgent: String, connectionsPerHostMax: Int = 8) {
        self.userAgent = userAgent
        self.connectionsPerHostMax = connectionsPerHostMax
    }

    deinit { made.withLock { $0?.invalidateAndCancel() } }

    private var session: URLSession {
        made.withLock { session in
            if let session { return session }
            let configuration = URLSessionConfiguration.ephemeral
            configuration.httpCookieStorage = nil
            configuration.httpShouldSetCookies = false
            configuration.urlCache = nil
            configuration.httpMaximumConnectionsPerHost = connectionsPerHostMax
            configuration.httpAdditionalHeaders = ["User-Agent": userAgent]
            let new = URLSession(configuration: configuration, delegate: exchanges, delegateQueue: DelegateQueue())
            session = new
            return new
        }
    }

    package func send(_ request: OutboundRequest, limits: ExchangeLimits) async throws -> OutboundResponse {
        try await exchange(session.dataTask(with: request.foundation(idle: limits.idle)), limits, file: nil)
    }

    package func download(
        _ request: OutboundRequest,
        to file: URL,
        limits: ExchangeLimits
    ) async throws -> OutboundResponse {
        try await exchange(session.downloadTask(with: request.foundation(idle: limits.idle)), limits, file: file)
    }

    private func exchange(
        _ task: URLSessionTask,
        _ limits: ExchangeLimits,
        file: URL?
    ) async throws -> OutboundResponse {
        let (exchanges, number) = (exchanges, task.taskIdentifier)
        // Foundation on Linux does not enforce timeoutIntervalForResource: the total deadline is ours.
        return try await withDeadline(limits.total, during: "http.exchange") {
            try await withTaskCancellationHandler {
                try await withCheckedThrowingContinuation { continuation in
                    let open = exchanges.begin(number, bodyMax: limits.bodyMax, file: file, continuation)
                    if open { task.resume() } else { task.cancel() }
                }
            } onCancel: {
                exchanges.abandon(number)
                task.cancel()
            }
        }
    }
}

extension OutboundRequest {
    fileprivate func foundation(idle: Duration) -> URLRequest {
        var request = URLRequest(url: url)
        request.httpMethod = method.rawValue
        request.timeoutInterval = max(1, Double(idle.components.seconds))
        request.httpShouldHandleCookies = false
        for (name, value) in headers { request.setValue(value, forHTTPHeaderField: name) }
        for (name, secret) in secretHeaders {
            secret.expose { request.setValue($0, forHTTPHeaderField: name) }
        }
        if let body { request.httpBody = Data(body) }
        return request
    }
}
