import API
import HTTPServer
import HTTPTypes
import Logging
import Testing

/// The webhook's route: raw bytes in, statuses out, no token asked for.
@Suite struct HookRouteTests {
    private static func send(_ outcome: HookOutcome?, body: String) async throws -> Int {
        var ports = Daemon().ports()
        if let outcome {
            ports.shopifyHook = { delivery in
                guard delivery.headers["x-shopify-topic"] == "orders/updated", delivery.body == Array(body.utf8) else {
                    return .refused("the delivery was changed on its way")
                }
                return outcome
            }
        }
        let gate = await Gate(AccessSettings(keys: []))
        let router = APIRoutes.router(ports, gate: gate, logger: Logger(label: "test"))
        var headers: HTTPFields = [:]
        headers[HTTPField.Name("X-Shopify-Topic") ?? .accept] = "orders/updated"
        let request = Fixture.request(.post, "/hooks/shopify", headers: headers, body: body)
        return await router.respond(to: request).status.code
    }

    @Test(arguments: [
        (HookOutcome.kept, 200), (.duplicate, 200), (.unsigned, 401), (.refused("too old"), 400),
    ])
    func outcomesAreStatuses(outcome: HookOutcome, status: Int) async throws {
        #expect(try await Self.send(outcome, body: "{\"note\": \"grüße\\/\"}") == status)
    }

    @Test func withoutASecretNobodyIsBelieved() async throws {
        #expect(try await Self.send(nil, body: "{}") == 401)
    }

    @Test func onlyChosenPathsAreAnsweredOnThePortOfMetrics() async throws {
        let gate = await Gate(AccessSettings(keys: []))
        let logger = Logger(label: "test")
        let router = APIRoutes.router(Daemon().ports(), gate: gate, logger: logger, only: ["/metrics"])
        #expect(await router.respond(to: Fixture.request(.get, "/metrics")).status.code == 200)
        #expect(await router.respond(to: Fixture.request(.get, "/live")).status.code == 404)
    }
}
