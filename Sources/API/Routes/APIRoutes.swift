import Engine
package import HTTPServer
import HTTPTypes
package import Logging
import Runtime

/// Every route of the daemon, put behind the gate and the edge.
package enum APIRoutes {
    /// Bodies we read are small; larger ones are refused before they are read.
    package static let bodyBytesMax = 65_536

    package static func all(_ ports: APIPorts) -> [APIRoute] {
        let starter = RunStarter(ports: ports)
        return ProbeRoutes(ports: ports).routes + RunRoutes(ports: ports, starter: starter).routes
            + OperationRoutes(ports: ports).routes + ScheduleRoutes(ports: ports, starter: starter).routes
            + WatermarkRoutes(ports: ports).routes + EventRoutes(ports: ports).routes + OpenAPIRoute.routes
            + HookRoutes(ports: ports).routes
            + OverviewRoutes(ports: ports).routes + RunDetailRoutes(ports: ports).routes + ConsolePage.routes
            + DocumentationRoutes(ports: ports).routes
    }

    /// A router that answers all routes; unknown paths and wrong methods are answered as problems too.
    ///
    /// `only`: paths that are answered, nil for all.
    package static func router(_ ports: APIPorts, gate: Gate, logger: Logger, only: Set<String>? = nil) -> Router {
        var router = Router()
        router.errorResponse = { failure, id in
            var response = ServerResponse.refusal(failure, requestID: id)
            Edge.harden(&response, requestID: id)
            return response
        }
        let edge = Edge(gate: gate, logger: logger)
        router.middleware = [
            { request, route, next in try await edge.answer(request, route: route, next: next) }
        ]
        router.immediateMiddleware = [
            { request, route, next in edge.answerAtOnce(request, route: route, next: next) }
        ]
        for route in all(ports) where only?.contains(route.path) ?? true {
            let options = RouteOptions(
                longRunning: route.isLong,
                bodyMax: route.bodyMax,
                produces: route.produces
            )
            if let immediate = route.immediate {
                router.onImmediate(route.method, route.path, options: options) { request in
                    let (headers, host) = (request.headers, request.host)
                    let caller = try gate.admitUnidentified(headers, host: host, level: .open, changes: false)
                    return try immediate(APIRequest(request: request, parameters: [:], caller: caller ?? .anonymous))
                }
                continue
            }
            router.on(route.method, route.path, options: options) { request, parameters in
                let caller = try await gate.admit(
                    request.headers,
                    host: request.host,
                    level: route.access,
                    changes: route.changes
                )
                return try await route.handler(APIRequest(request: request, parameters: parameters, caller: caller))
            }
        }
        return router
    }
}
