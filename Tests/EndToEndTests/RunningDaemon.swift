import API
import Foundation
import JWTKit
import Runtime
import TestKit

/// `tallyman serve` as an operator starts it, with a shop on the stand-in and a cart of its own.
final class RunningDaemon: Sendable {
    static let key = "end-to-end-key-0123456789-abcdefgh"
    static let table = """
        CREATE TABLE product (
            id varchar PRIMARY KEY, title varchar, price numeric, image varchar, "sellerId" varchar, quantity int)
        """

    let process: ChildProcess
    let port: Int

    /// Waits until it listens; throws with what it said when it ends before.
    init(_ settings: [String: String]) async throws {
        process = try TallymanBinary.start(["serve"], settings)
        let progress = process.progress
        try await progress.wait(within: .seconds(60)) { $0.exit != nil || Self.port(in: $0) != nil }
        guard let port = Self.port(in: progress.value) else {
            throw TestServiceMissing("tallyman serve ended: \(progress.value.errorText) \(progress.value.outputText)")
        }
        self.port = port
    }

    /// The port of the line that says it listens.
    private static func port(in progress: ChildProcess.Progress) -> Int? {
        let lines = (progress.outputText + progress.errorText).split(separator: "\n")
        guard let line = lines.first(where: { $0.contains("\"listening\"") }),
            let value = try? JSONText.parse(Array(line.utf8))
        else { return nil }
        return value["port"]?.string.flatMap { Int($0) } ?? value["port"]?.int
    }

    /// Everything it logged.
    var log: String { process.progress.value.outputText + process.progress.value.errorText }

    /// Asks it to stop and waits for its end.
    func stop() async throws {
        process.signal(SIGTERM)
        try await process.wait(within: .seconds(60))
    }

    func send(
        _ method: String,
        _ path: String,
        token: String? = nil,
        fields: [String: String] = [:],
        body: String? = nil
    ) async throws -> RawAnswer {
        var fields = fields
        if let token { fields["Authorization"] = "Bearer \(token)" }
        if body != nil, fields["Content-Type"] == nil { fields["Content-Type"] = "application/json" }
        return try await RawClient.exchange(port: port, method, path, fields: fields, body: body.map { Array($0.utf8) })
    }

    /// A token of this daemon's key.
    static func token(
        _ scope: String? = "etl:read etl:write etl:admin",
        key: String = key,
        exp: Double? = Date().timeIntervalSince1970 + 3_600,
        iat: Double? = nil,
        iss: String? = nil,
        aud: [String] = []
    ) async throws -> String {
        let claims = AccessClaims(sub: "ada", exp: exp, iat: iat, iss: iss, aud: aud, scope: scope)
        guard let token = try await TokenVerifier(keys: [Secret(key)]).sign(claims) else {
            throw TestServiceMissing("no token")
        }
        return token
    }
}

extension RawAnswer {
    var json: JSONValue { (try? JSONText.parse(body)) ?? .null }
}

/// A shop and a cart for one test.
struct Shop {
    let source: MongoStandIn
    let cart: String

    /// - Parameter migrated: false leaves schema `etl` away.
    init(products: Int, migrated: Bool = true) throws {
        source = try MongoStandIn()
        try source.loadProducts(0..<products)
        let postgres = try TestPostgres.shared()
        cart = try postgres.freshDatabase()
        try postgres.psql(cart, RunningDaemon.table)
        guard migrated else { return }
        let ended = try TallymanBinary.run(["migrate", "up"], settings())
        guard ended.exit == .code(0) else { throw TestServiceMissing("migrate: \(ended.errorText)") }
    }

    /// With a key unless `JWT_KEY` is given as empty, on a port of the system's choice, and without fires.
    func settings(_ more: [String: String] = [:]) -> [String: String] {
        [
            "PRODUCT_SERVICE_MONGODB_URL": "\(source.url)?serverSelectionTimeoutMS=2000", "CART_DB_URL": cart,
            "PORT": "0", "HOST": "127.0.0.1", "JWT_KEY": RunningDaemon.key, "ENABLE_SCHEDULER": "false",
            "LOG_FORMAT": "json", "LOG_LEVEL": "info",
        ].merging(more) { $1 }
    }
}
