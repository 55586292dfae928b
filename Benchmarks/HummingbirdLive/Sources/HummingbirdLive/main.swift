import Hummingbird

/// What hummingbird makes of the same question: `GET /live` with a body like ours. `bin/bench.d/http` runs it.
///
///     HummingbirdLive PORT
let port = CommandLine.arguments.dropFirst().first.flatMap { Int($0) } ?? 8080
let router = Router()
router.get("/live") { _, _ in
    Response(
        status: .ok,
        headers: [.contentType: "application/json; charset=utf-8"],
        body: .init(byteBuffer: ByteBuffer(string: #"{"status":"alive","timestamp":"2026-11-21T08:00:00.000Z"}"#))
    )
}
var application = Application(
    router: router,
    configuration: .init(address: .hostname("127.0.0.1", port: port), serverName: nil)
)
application.logger.logLevel = .error
try await application.runService()
