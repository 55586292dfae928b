/// The two shapes of the shop's tables.
package enum SourceSchema: String, Sendable, CaseIterable {
    /// Denormalised, with personal data; the identifiers become tokens on the way.
    case v1
    /// Normalised, with tokens.
    case v2
}

extension SourceSchema {
    /// What a query's file calls the tables and columns that the schemas name differently.
    ///
    /// So that one file computes a measure from either; a name that is not listed stays as it is.
    var names: [String: String] {
        let tables = SourceTable.allCases.map { ($0.name(in: .v1), $0.name(in: self)) }
        let columns = [
            ("user", userColumn), ("owner", ownerColumn),
            ("last_seen_at", self == .v1 ? "last_login_at" : "last_activity_at"),
            ("is_verified", self == .v1 ? "email_verified IS TRUE" : "email_verified_at IS NOT NULL"),
            ("tier", self == .v1 ? "subscription_type" : "subscription_tier"),
        ]
        return Dictionary(tables + columns) { first, _ in first }
    }

    /// What names a person in `users`.
    var userColumn: String { self == .v1 ? "id" : "user_token" }

    /// What names a person in every other table.
    var ownerColumn: String { self == .v1 ? "user_id" : "user_token" }

    /// A query's file with this schema's names in place of `{name}`.
    func filled(_ text: [UInt8]) -> String {
        names.reduce(String(decoding: text, as: UTF8.self)) { sql, name in
            sql.replacing("{\(name.key)}", with: name.value)
        }
    }
}

/// A table of the source, whatever its name in either schema.
package enum SourceTable: Sendable, CaseIterable {
    case users, orders, items, payments, notifications

    package func name(in schema: SourceSchema) -> String {
        let bare =
            switch self {
            case .users: "users"
            case .orders: "orders"
            case .items: "order_items"
            case .payments: "payments"
            case .notifications: "notifications"
            }
        return schema == .v1 ? bare : "\(bare)_v2"
    }

    /// Columns that every source has; a source that lacks one is broken. Any other may be missing.
    func promised(in schema: SourceSchema) -> Set<String> {
        switch (self, schema) {
        case (.users, .v1):
            ["id", "status", "subscription_type", "email_verified", "last_login_at"]
        case (.users, .v2):
            ["user_token", "created_at", "subscription_tier", "email_verified_at", "last_activity_at"]
        case (.orders, .v1): ["id", "created_at", "status", "total_amount"]
        case (.orders, .v2): ["id", "user_token", "created_at", "status", "total_amount"]
        case (.items, _): ["order_id", "product_id", "quantity", "unit_price"]
        case (.payments, _): ["created_at", "payment_method", "amount", "status", "processing_time_ms"]
        case (.notifications, _):
            ["sent_at", "channel", "notification_type", "delivered_at", "opened_at", "clicked_at"]
        }
    }

    /// Columns that a query reads when they are there and does without when they are not.
    static let optional = allCases.reduce(into: Set<String>()) { $0.formUnion($1.optional) }

    /// Those of this table.
    var optional: Set<String> {
        switch self {
        case .users, .orders, .items: []
        case .payments: ["billing_country", "ip_country"]
        case .notifications: ["bounced_at", "failed_at", "status"]
        }
    }
}

extension SourceTable {
    /// Every column that a query of ours reads when the source has it; no e-mail, name, phone, card or address.
    package func columnsRead(in schema: SourceSchema) -> Set<String> {
        let needs = Measure.all.flatMap { $0.needs(schema) }.filter { $0.table == self }
        return needs.reduce(promised(in: schema).union(optional)) { $0.union($1.columns) }
    }
}
