import Foundation
import FoundationNetworking
import Runtime
import Synchronization

/// Collects what URLSession reports into one answer an exchange; each continuation is resumed exactly once.
final class ExchangeDelegate: NSObject, URLSessionDataDelegate, URLSessionDownloadDelegate, Sendable {
    typealias Answer = CheckedContinuation<OutboundResponse, any Error>

    private struct Exchange {
        let bodyMax: Int
        let file: URL?
        var continuation: Answer?
        var body: [UInt8] = []
        var failure: TallyError?
    }

    private struct State {
        var open: [Int: Exchange] = [:]
        var abandonedEarly: Set<Int> = []
    }

    private let state = Mutex(State())

    /// False when the exchange was abandoned before it began; the continuation has then been resumed.
    func begin(_ number: Int, bodyMax: Int, file: URL?, _ continuation: Answer) -> Bool {
        let isOpen = state.withLock { state in
            guard state.abandonedEarly.remove(number) == nil else { return false }
            state.open[number] = Exchange(bodyMax: bodyMax, file: file, continuation: continuation)
            return true
        }
        if !isOpen { continuation.resume(throwing: CancellationError()) }
        return isOpen
    }

    /// Ends the exchange for its caller at once; what URLSession reports later is ignored.
    func abandon(_ number: Int) {
        let continuation = state.withLock { state -> Answer? in
            guard let exchange = state.open.removeValue(forKey: number) else {
                state.abandonedEarly.insert(number)
                return nil
            }
            return exchange.continuation
        }
        continuation?.resume(throwing: CancellationError())
    }

    /// Remembers why the exchange fails, for when URLSession reports its end, and stops the transfer.
    private func refuse(_ task: URLSessionTask, _ failure: TallyError) {
        state.withLock { state in
            if state.open[task.taskIdentifier]?.failure == nil { state.open[task.taskIdentifier]?.failure = failure }
        }
        task.cancel()
    }

    // MARK: What URLSession reports

    func urlSession(
        _ session: URLSession,
        task: URLSessionTask,
        willPerformHTTPRedirection response: HTTPURLResponse,
        newRequest request: URLRequest,
        completionHandler: @escaping (URLRequest?) -> Void
    ) {
        let from = task.currentRequest?.url ?? task.originalRequest?.url
        let to = request.url
        let isSameHost = from?.scheme == to?.scheme && from?.host() == to?.host() && from?.port == to?.port
        let refusal = TallyError(
            .permissionDenied,
            during: "http.redirect",
            "\(from?.host() ?? "the host") redirects to another host; that is not followed",
            remedy: "Check the configured address: a closed or renamed shop redirects."
        )
        // Foundation traps when this handler is called after the task was cancelled. `abandon` takes the same lock
        // before it cancels, so an exchange that is still open here has not been cancelled.
        state.withLock { state in
            guard state.open[task.taskIdentifier] != nil else { return }
            if !isSameHost { state.open[task.taskIdentifier]?.failure = refusal }
            completionHandler(isSameHost ? request : nil)
        }
    }

    func urlSession(_ session: URLSession, dataTask: URLSessionDataTask, didReceive data: Data) {
        let tooLong = state.withLock { state -> Bool in
            guard var exchange = state.open.removeValue(forKey: dataTask.taskIdentifier) else { return false }
            defer { state.open[dataTask.taskIdentifier] = exchange }
            guard exchange.body.count + data.count <= exchange.bodyMax else { return true }
            exchange.body.append(contentsOf: data)
            return false
        }
        if tooLong { refuse(dataTask, Self.tooLong) }
    }

    func urlSession(
        _ session: URLSession,
        downloadTask: URLSessionDownloadTask,
        didWriteData bytesWritten: Int64,
        totalBytesWritten: Int64,
        totalBytesExpectedToWrite: Int64
    ) {
        let limit = state.withLock { $0.open[downloadTask.taskIdentifier]?.bodyMax } ?? Int.max
        if totalBytesWritten > limit { refuse(downloadTask, Self.tooLong) }
    }

    func urlSession(
        _ session: URLSession,
        downloadTask: URLSessionDownloadTask,
        didFinishDownloadingTo location: URL
    ) {
        guard let file = state.withLock({ $0.open[downloadTask.taskIdentifier]?.file }) else { return }
        do {
            if FileManager.default.fileExists(atPath: file.path()) { try FileManager.default.removeItem(at: file) }
            // Over file systems a move is a copy; the temporary folder may be elsewhere.
            try FileManager.default.moveItem(at: location, to: file)
        } catch {
            refuse(
                downloadTask,
                TallyError(.unknown, during: "http.download", "the download cannot be kept on disk", cause: error)
            )
        }
    }

    func urlSession(_ session: URLSession, task: URLSessionTask, didCompleteWithError error: (any Error)?) {
        guard let exchange = state.withLock({ $0.open.removeValue(forKey: task.taskIdentifier) }) else {
            _ = state.withLock { $0.abandonedEarly.remove(task.taskIdentifier) }
            return
        }
        if let failure = exchange.failure {
            exchange.continuation?.resume(throwing: failure)
        } else if let error {
            exchange.continuation?.resume(throwing: Self.failure(error, host: task.originalRequest?.url?.host()))
        } else if let head = task.response as? HTTPURLResponse {
            exchange.continuation?.resume(returning: Self.answer(head, exchange.body))
        } else {
            exchange.continuation?.resume(
                throwing: TallyError(.sourceUnreachable, during: "http.exchange", "the exchange ended without answer")
            )
        }
    }

    private static func answer(_ head: HTTPURLResponse, _ body: [UInt8]) -> OutboundResponse {
        var headers: [String: String] = [:]
        for (name, value) in head.allHeaderFields {
            if let name = name as? String, let value = value as? String { headers[name] = value }
        }
        return OutboundResponse(status: head.statusCode, headers: headers, body: body)
    }

    private static var tooLong: TallyError {
        TallyError(.limitExceeded, during: "http.exchange", "the answer is longer than its ceiling")
    }

    private static func failure(_ error: any Error, host: String?) -> TallyError {
        let host = host ?? "the host"
        switch (error as? URLError)?.code {
        case .timedOut?:
            return TallyError(.deadlineExceeded, during: "http.exchange", "\(host) fell silent", cause: error)
        case .secureConnectionFailed?, .serverCertificateUntrusted?, .serverCertificateHasBadDate?,
            .serverCertificateHasUnknownRoot?, .serverCertificateNotYetValid?, .clientCertificateRejected?:
            return TallyError(
                .permissionDenied,
                during: "http.exchange",
                "no trusted TLS connection to \(host)",
                remedy: "Check the host's certificate, this machine's clock and its CA certificates.",
                cause: error
            )
        default:
            // A refused connection, a reset and a truncated body, which Foundation reports as -1.
            return TallyError(.sourceUnreachable, during: "http.exchange", "\(host) did not answer whole", cause: error)
        }
    }
}
