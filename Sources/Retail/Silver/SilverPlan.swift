/// A column of silver: its name in records and table, and its type.
struct SilverColumn: Sendable {
    enum Kind: String, Sendable {
        case text = "text"
        case int64 = "bigint"
        case int32 = "integer"
        case numeric = "numeric"
        case instant = "timestamptz"
        case textArray = "text[]"
        case uuid = "uuid"
    }

    let name: String
    let utf8: [UInt8]
    let kind: Kind
    let isRequired: Bool

    init(_ name: String, _ kind: Kind, isRequired: Bool = false) {
        self.name = name
        utf8 = Array(name.utf8)
        self.kind = kind
        self.isRequired = isRequired
    }
}

/// How the records of one entity become rows of its table.
struct SilverPlan: Sendable {
    let entity: BronzeEntity
    let key: [SilverColumn]
    let values: [SilverColumn]
    /// Keys, values, then `_ingestion_ts` and `_batch_id`.
    let columns: [SilverColumn]

    var table: String { "silver.\(entity.rawValue)" }

    private init(_ entity: BronzeEntity, key: [SilverColumn], values: [SilverColumn]) {
        self.entity = entity
        self.key = key
        self.values = values
        columns =
            key + values
            + [SilverColumn("_ingestion_ts", .instant, isRequired: true), SilverColumn("_batch_id", .uuid)]
    }

    static func of(_ entity: BronzeEntity) -> SilverPlan {
        switch entity {
        case .customers:
            SilverPlan(
                entity,
                key: [SilverColumn("customer_id", .text, isRequired: true)],
                values: [SilverColumn("emails", .textArray), SilverColumn("phone_numbers", .textArray)]
            )
        case .products:
            SilverPlan(
                entity,
                key: [SilverColumn("product_sku", .text, isRequired: true)],
                values: [
                    SilverColumn("description", .text), SilverColumn("unit_amount", .numeric),
                    SilverColumn("supplier", .text),
                ]
            )
        case .salesCustomer:
            SilverPlan(
                entity,
                key: [SilverColumn("id", .int64, isRequired: true)],
                values: [
                    SilverColumn("datetime", .instant), SilverColumn("total_amount", .numeric),
                    SilverColumn("customer_id", .text), SilverColumn("_line_count", .int32),
                ]
            )
        case .salesProduct:
            SilverPlan(
                entity,
                key: [
                    SilverColumn("sale_id", .int64, isRequired: true),
                    SilverColumn("line_no", .int32, isRequired: true),
                ],
                values: [
                    SilverColumn("product_sku", .text), SilverColumn("quantity", .int32),
                    SilverColumn("amount", .numeric),
                ]
            )
        }
    }
}
