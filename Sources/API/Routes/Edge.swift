import Foundation
import HTTPServer
import HTTPTypes
import Logging
import Runtime
import Telemetry

/// What happens to every request and answer: host check, errors as problems, request id, headers, one log line.
struct Edge: Sendable {
    let gate: Gate
    let logger: Logger

    func answer(
        _ request: ServerRequest,
        route: String?,
        next: (ServerRequest) async throws -> ServerResponse
    ) async throws -> ServerResponse {
        let (start, id) = (ContinuousClock.now, Self.requestID(request))
        var (request, response) = (request, ServerResponse(status: .internalServerError))
        // What answers further inside names the id that the log line has.
        request.id = id
        do {
            if let preflight = try early(request) { response = preflight } else { response = try await next(request) }
        } catch {
            response = refusal(error, route: route, id: id)
        }
        finish(&response, request, route: route, id: id, since: start)
        return response
    }

    /// The same for a handler that waits for nobody.
    func answerAtOnce(
        _ request: ServerRequest,
        route: String?,
        next: (ServerRequest) throws -> ServerResponse
    ) -> ServerResponse {
        let (start, id) = (ContinuousClock.now, Self.requestID(request))
        var (request, response) = (request, ServerResponse(status: .internalServerError))
        request.id = id
        do {
            response = try early(request) ?? next(request)
        } catch {
            response = refusal(error, route: route, id: id)
        }
        finish(&response, request, route: route, id: id, since: start)
        return response
    }

    /// What is answered before any handler.
    private func early(_ request: ServerRequest) throws -> ServerResponse? {
        try gate.checkHost(request.host)
        return request.method == .options ? gate.preflight(request.method, request.headers) : nil
    }

    private func refusal(_ error: any Error, route: String?, id: String) -> ServerResponse {
        let problem = Problem.from(error)
        if problem.name == .internalError {
            logger.event(
                .error,
                "request failed",
                [
                    .requestID: id, .route: route ?? "none",
                    .error: TallyError.wrapping(error, during: "api").description,
                ]
            )
        }
        return .problem(problem, requestID: id)
    }

    private func finish(
        _ response: inout ServerResponse,
        _ request: ServerRequest,
        route: String?,
        id: String,
        since start: ContinuousClock.Instant
    ) {
        gate.addCORS(to: &response.headers, origin: request.headers[.origin])
        Self.harden(&response, requestID: id)
        log(request, route: route, status: response.status.code, id: id, since: start)
    }

    /// The matched route, never the path or the query: those may carry what nobody wants in a log.
    private func log(
        _ request: ServerRequest,
        route: String?,
        status: Int,
        id: String,
        since start: ContinuousClock.Instant
    ) {
        // Runs keep what is logged from debug upwards, whatever is printed; probes are none of their business.
        let level: Logger.Level = status < 400 && Self.probes.contains(route ?? "") ? .trace : .info
        guard level >= logger.logLevel else { return }
        let milliseconds = Int(((ContinuousClock.now - start) / .milliseconds(1)).rounded())
        logger.event(
            level,
            "request answered",
            [
                .method: request.method.rawValue, .route: route ?? "none", .status: "\(status)",
                .durationMS: "\(milliseconds)", .requestID: id,
            ]
        )
    }

    private static let probes: Set<String> = [
        "/live", "/ready", "/health", "/api/etl/live", "/api/etl/ready", "/api/etl/health", "/metrics",
    ]

    /// The caller's id when it is well formed, else the server's own.
    private static func requestID(_ request: ServerRequest) -> String {
        guard let sent = request.headers[.requestID], (1...64).contains(sent.utf8.count),
            sent.utf8.allSatisfy({ isIDByte($0) })
        else { return request.id }
        return sent
    }

    private static func isIDByte(_ byte: UInt8) -> Bool {
        switch byte {
        case UInt8(ascii: "a")...UInt8(ascii: "z"), UInt8(ascii: "A")...UInt8(ascii: "Z"),
            UInt8(ascii: "0")...UInt8(ascii: "9"), UInt8(ascii: "-"), UInt8(ascii: "_"), UInt8(ascii: "."):
            true
        default: false
        }
    }

    /// What every answer says, also one to a request that no handler saw.
    static func harden(_ response: inout ServerResponse, requestID: String) {
        response.headers[.requestID] = requestID
        guard shared.overlaps(response.headers) else {
            response.shared = shared
            return
        }
        for field in shared.fields where !response.headers.contains(field.name) { response.headers.append(field) }
    }

    private static let shared = SharedFields(securityHeaders)
    private static let securityHeaders: [HTTPField] = [
        ("X-Content-Type-Options", "nosniff"), ("X-Frame-Options", "DENY"), ("Referrer-Policy", "no-referrer"),
        ("Content-Security-Policy", "default-src 'none'; frame-ancestors 'none'"),
        ("Cross-Origin-Resource-Policy", "same-origin"), ("Cache-Control", "no-store"),
    ].compactMap { name, value in HTTPField.Name(name).map { HTTPField(name: $0, value: value) } }
}
