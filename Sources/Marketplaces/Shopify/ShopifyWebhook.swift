import Crypto
package import Foundation
package import Postgres
package import Runtime

/// Receives Shopify's webhooks: what they name is read again by the next pull, their content is not trusted.
package struct ShopifyWebhook: Sendable {
    package enum Outcome: Sendable, Equatable {
        case kept
        /// Delivered before; Shopify repeats what it got no answer for.
        case duplicate
        /// The signature is not the shop's, or there is no such shop.
        case unsigned
        /// Older than any repetition is, or from the future.
        case stale
        /// Signed, but without what makes it usable.
        case malformed
    }

    /// Shopify repeats a delivery for four hours.
    package static let ageMax: TimeInterval = 6 * 3_600
    private static let skewMax: TimeInterval = 300

    private let secrets: [String: Secret<String>]
    private let pool: PGPool
    private let now: @Sendable () -> Date

    /// `secrets`: the app's client secret by shop.
    package init(
        secrets: [String: Secret<String>],
        pool: PGPool,
        now: @escaping @Sendable () -> Date = { Date() }
    ) {
        self.secrets = secrets
        self.pool = pool
        self.now = now
    }

    /// Checks the HMAC over the raw body, the age and the id, then keeps what was named. Header names in lower case.
    ///
    /// Throws only when the database cannot be written: Shopify then delivers again.
    package func receive(headers: [String: String], body: [UInt8]) async throws -> Outcome {
        func header(_ name: String) -> String? { headers["x-\(name)"] ?? headers[name] }
        let shop = header("shopify-shop-domain")?.lowercased() ?? ""
        guard let secret = secrets[shop], let given = header("shopify-hmac-sha256"),
            let code = Data(base64Encoded: given),
            secret.expose({ key in
                HMAC<SHA256>.isValidAuthenticationCode(
                    code,
                    authenticating: body,
                    using: SymmetricKey(data: Array(key.utf8))
                )
            })
        else { return .unsigned }
        guard let topic = header("shopify-topic")?.lowercased(), let id = header("shopify-webhook-id"), !id.isEmpty,
            id.utf8.count <= 200, let triggered = header("shopify-triggered-at").flatMap(WireTime.instant)
        else { return .malformed }
        let age = now().timeIntervalSince(triggered)
        guard age <= Self.ageMax, age >= -Self.skewMax else { return .stale }
        guard let content = try? WireJSON(parsing: body) else { return .malformed }
        let notice = Notice(id: id, topic: topic, objectID: Self.object(topic, content))
        guard notice.objectID != nil || Notice.pipelines(topic).isEmpty else { return .malformed }
        let isNew = try await pool.withConnection {
            try await Notices.keep(notice, source: "shopify", scope: shop, on: $0)
        }
        return isNew ? .kept : .duplicate
    }

    /// The id that the admin API knows: of the order for what hangs below one.
    private static func object(_ topic: String, _ content: WireJSON) -> String? {
        let kind = topic.hasPrefix("products/") ? "Product" : "Order"
        let number =
            switch topic.split(separator: "/").first {
            case "refunds": content["order_id"].text
            case "returns": content["order"]["id"].text ?? content["order_id"].text
            default: content["id"].text
            }
        guard let number, !number.isEmpty, number.utf8.count < 20,
            number.utf8.allSatisfy({ (0x30...0x39).contains($0) })
        else { return nil }
        return "gid://shopify/\(kind)/\(number)"
    }
}
