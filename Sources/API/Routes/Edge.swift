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
        let start = ContinuousClock.now
        let id = Self.requestID(request)
        var response: ServerResponse
        do {
            try gate.checkHost(request.host)
            if let preflight = gate.preflight(request.method, request.headers) {
                response = preflight
            } else {
                response = try await next(request)
            }
        } catch {
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
            response = .problem(problem, requestID: id)
        }
        response.headers[.requestID] = id
        Self.addSecurityHeaders(&response.headers)
        gate.addCORS(to: &response.headers, origin: request.headers[.origin])
        let elapsed = ContinuousClock.now - start
        log(request, route: route, status: response.status.code, id: id, elapsed: elapsed)
        return response
    }

    /// The matched route, never the path or the query: those may carry what nobody wants in a log.
    private func log(_ request: ServerRequest, route: String?, status: Int, id: String, elapsed: Duration) {
        let quiet = status < 400 && Self.probes.contains(route ?? "")
        let milliseconds = Int((elapsed / .milliseconds(1)).rounded())
        logger.event(
            quiet ? .debug : .info,
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

    private static func addSecurityHeaders(_ headers: inout HTTPFields) {
        for field in securityHeaders where !headers.contains(field.name) { headers.append(field) }
    }

    private static let securityHeaders: [HTTPField] = [
        ("X-Content-Type-Options", "nosniff"), ("X-Frame-Options", "DENY"), ("Referrer-Policy", "no-referrer"),
        ("Content-Security-Policy", "default-src 'none'; frame-ancestors 'none'"),
        ("Cross-Origin-Resource-Policy", "same-origin"), ("Cache-Control", "no-store"),
    ].compactMap { name, value in HTTPField.Name(name).map { HTTPField(name: $0, value: value) } }
}
