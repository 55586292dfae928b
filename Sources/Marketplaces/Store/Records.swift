package import Foundation
import Runtime

/// The parts of a pull that can be run alone.
package enum Pipeline: String, Sendable, CaseIterable { case products, listings, sales, fees }

/// Whose data: one shop, or one marketplace of one seller.
package struct SourceScope: Sendable, Hashable {
    /// `shopify` or `amazon`: the job, and the `marketplace` column of the unified tables.
    package let source: String
    package let accountID: String
    /// The shop's host name or the marketplace's id.
    package let scope: String
    package let country: String

    package init(source: String, accountID: String, scope: String, country: String) {
        self.source = source
        self.accountID = accountID
        self.scope = scope
        self.country = country
    }
}

package struct ProductRecord: Sendable, Equatable {
    package var code: String
    package var sku: String?
    package var asin: String?
    package var title: String?
    package var category: String?
    package var brand: String?
    package var currency: String?
    package var price: Decimal?
    package var unitCost: Decimal?
    package var createdAt: Date?
    package var updatedAt: Date

    package init(code: String, updatedAt: Date) {
        self.code = code
        self.updatedAt = updatedAt
    }
}

package struct ListingRecord: Sendable, Equatable {
    package var id: String
    package var productCode: String
    package var sku: String?
    package var asin: String?
    package var url: String?
    package var status: String
    package var updatedAt: Date

    package init(id: String, productCode: String, status: String, updatedAt: Date) {
        self.id = id
        self.productCode = productCode
        self.status = status
        self.updatedAt = updatedAt
    }
}

/// An order, or what fees were charged for, whole: its lines replace those stored under its id.
package struct DocumentRecord: Sendable, Equatable {
    package enum Kind: String, Sendable { case order, fee }
    package var id: String
    /// Grows with each change of the document; an older state never replaces a newer one (INV-9).
    package var version: Int64
    package var status: String
    package var lines: [LineRecord]

    package init(id: String, version: Int64, status: String, lines: [LineRecord]) {
        self.id = id
        self.version = version
        self.status = status
        self.lines = lines
    }
}

package enum LineRecord: Sendable, Equatable {
    case order(OrderLine)
    case fee(FeeLine)

    package struct OrderLine: Sendable, Equatable {
        package var id: String
        package var productCode: String
        package var sku: String?
        package var day: Date
        package var soldAt: Date
        package var units: Int
        package var unitsRefunded: Int
        /// What the line was sold for, discounts taken off, before refunds.
        package var revenue: Decimal
        package var refunded: Decimal
        /// What came back, as returns tell and no refund does.
        package var unitsReturned: Int
        package var returned: Decimal
        package var unitCost: Decimal?
        package var currency: String
        /// The order that this line takes back from: it then counts on the day of that order's sale.
        package var refundOf: String?

        package init(
            id: String,
            productCode: String,
            sku: String?,
            day: Date,
            soldAt: Date,
            units: Int,
            unitsRefunded: Int,
            revenue: Decimal,
            refunded: Decimal,
            unitsReturned: Int = 0,
            returned: Decimal = 0,
            unitCost: Decimal?,
            currency: String,
            refundOf: String? = nil
        ) {
            self.refundOf = refundOf
            self.unitsReturned = unitsReturned
            self.returned = returned
            self.id = id
            self.productCode = productCode
            self.sku = sku
            self.day = day
            self.soldAt = soldAt
            self.units = units
            self.unitsRefunded = unitsRefunded
            self.revenue = revenue
            self.refunded = refunded
            self.unitCost = unitCost
            self.currency = currency
        }
    }

    package struct FeeLine: Sendable, Equatable {
        package var id: String
        /// Empty for a fee that belongs to no product.
        package var productCode: String
        package var sku: String?
        package var day: Date
        package var postedAt: Date
        package var type: String
        /// Positive: what the shop paid.
        package var amount: Decimal
        package var currency: String

        package init(
            id: String,
            productCode: String,
            sku: String?,
            day: Date,
            postedAt: Date,
            type: String,
            amount: Decimal,
            currency: String
        ) {
            self.id = id
            self.productCode = productCode
            self.sku = sku
            self.day = day
            self.postedAt = postedAt
            self.type = type
            self.amount = amount
            self.currency = currency
        }
    }

    var id: String {
        switch self {
        case .order(let line): line.id
        case .fee(let line): line.id
        }
    }
    var productCode: String {
        switch self {
        case .order(let line): line.productCode
        case .fee(let line): line.productCode
        }
    }
    var day: Date {
        switch self {
        case .order(let line): line.day
        case .fee(let line): line.day
        }
    }
    /// Whether the line counts on the day of another order's sale.
    var isTakingBack: Bool {
        switch self {
        case .order(let line): line.refundOf != nil
        case .fee: false
        }
    }
}

/// A record that mapping refused; its key names it for an operator, never its content.
package struct RefusedRecord: Sendable, Equatable {
    package let key: String
    package let reason: String

    package init(key: String, reason: String) {
        self.key = key
        self.reason = reason
    }

    init(key: String, _ error: any Error) {
        self.init(key: key, reason: TallyError.wrapping(error, during: "marketplace.map").summary)
    }
}

/// What one page of a vendor's answer came to.
package struct MappedRows: Sendable, Equatable {
    package var products: [ProductRecord] = []
    package var listings: [ListingRecord] = []
    package var documents: [DocumentRecord] = []
    package var refused: [RefusedRecord] = []
    /// Ids that a sweep saw without their content.
    package var seen: [String] = []
    /// Records that the answer held, refused ones included.
    package var records = 0

    package init() {}
}
