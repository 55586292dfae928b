package import Foundation

/// What a bulk operation reads: everything, children below their parents.
///
/// Refund lines are no part of it: a bulk query may hold no connection within a list, nor one three levels deep, as the
/// lines of returns are. Orders with refunds or returns are asked for by id afterwards.
package enum ShopifyBulkQuery: String, Sendable, CaseIterable {
    case products, orders, fees

    /// The query as it is sent, up to `until`, or of all there is; a test validates it against Shopify's schema.
    package func document(until: Date?) -> String {
        let filter = until.map { "(query: \"updated_at:<='\(WireTime.text($0))'\")" } ?? ""
        switch self {
        case .products:
            return """
                { products\(filter) { edges { node { \(ShopifyQuery.product)
                  variants { edges { node { \(ShopifyQuery.variant) } } } } } } }
                """
        case .orders:
            return """
                { orders\(filter) { edges { node { \(ShopifyQuery.order) refunds { id }
                  lineItems { edges { node { \(ShopifyQuery.line) } } } } } } }
                """
        case .fees:
            return """
                { orders\(filter) { edges { node { \(ShopifyQuery.orderFees) } } } }
                """
        }
    }
}
