package import Foundation
import Runtime

/// The synthetic shop behind `MOCK=1` and `tallyman mock-api`: every object is a function of its number, and what is
/// seen of it a function of the time asked for.
///
/// Amounts are whole cents. Nothing here knows of the vendors' formats or of our mapping, so its `ledger` is a control
/// total from another source.
package struct MockTrade: Sendable {
    /// When the first order was placed.
    package let epoch: Date
    /// Seconds from one order to the next.
    package let orderEvery: Int
    package let productCount: Int
    package let seed: UInt64
    package let currency: String
    package let zone: TimeZone
    /// Whether orders are edited a day after they were placed.
    package let hasEdits: Bool
    /// Whether goods are returned three days after they were ordered.
    package let hasReturns: Bool

    package init(
        epoch: Date = Date(timeIntervalSince1970: 1_767_225_600),
        orderEvery: Int = 3_600,
        productCount: Int = 40,
        seed: UInt64 = 1,
        currency: String = "EUR",
        zone: String = "Europe/Berlin",
        hasEdits: Bool = true,
        hasReturns: Bool = true
    ) {
        self.hasEdits = hasEdits
        self.hasReturns = hasReturns
        self.epoch = epoch
        self.orderEvery = max(1, orderEvery)
        self.productCount = max(1, productCount)
        self.seed = seed
        self.currency = currency
        self.zone = TimeZone(named: zone) ?? TimeZone(secondsFromGMT: 0) ?? .current
    }

    package struct Variant: Sendable, Equatable {
        package let product: Int
        package let number: Int
        package let sku: String
        package let title: String
        package let brand: String
        package let category: String
        package let priceCents: Int
        package let costCents: Int
        package let createdAt: Date
        package let updatedAt: Date
    }

    package struct Line: Sendable, Equatable {
        package let number: Int
        package let variant: Variant
        package let units: Int
        package let discountCents: Int
        package let refundedUnits: Int
        /// Units that came back. Some of them are refunded later: those are the same units.
        package let returnedUnits: Int
        package var grossCents: Int { units * variant.priceCents }
        package var netCents: Int { grossCents - discountCents }
        package var refundedCents: Int { units == 0 ? 0 : netCents * refundedUnits / units }
        /// Units that the buyer has given back in one way or the other, and what they were sold for.
        package var backUnits: Int { max(refundedUnits, returnedUnits) }
        package var backCents: Int {
            if backUnits == units { return netCents }
            // The share of what was not refunded, to the nearest cent.
            let waiting = backUnits - refundedUnits
            return refundedCents + (2 * netCents * waiting + units) / (2 * max(1, units))
        }
    }

    package struct Order: Sendable, Equatable {
        package let number: Int
        package let placedAt: Date
        package let updatedAt: Date
        package let cancelledAt: Date?
        package let lines: [Line]
        /// What the payment provider keeps: 2.9 % and 30 cents, from a minute after the order on.
        package let feeCents: Int
        /// Where the return of its goods is, if there is one.
        package let goodsReturn: Return?
        package var netCents: Int { lines.reduce(0) { $0 + $1.netCents } }
    }

    /// How far a return has got: nothing comes back of one that is requested or declined.
    package enum Return: Sendable, Equatable { case requested, declined, open, closed }

    /// SplitMix64 of the seed and the numbers that name a decision.
    func hash(_ parts: UInt64...) -> UInt64 {
        var state = seed &* 0x9E37_79B9_7F4A_7C15
        for part in parts {
            state = (state ^ part) &+ 0x9E37_79B9_7F4A_7C15
            state = (state ^ (state >> 30)) &* 0xBF58_476D_1CE4_E5B9
            state = (state ^ (state >> 27)) &* 0x94D0_49BB_1331_11EB
            state ^= state >> 31
        }
        return state
    }

    private func pick(_ count: Int, _ kind: UInt64, _ number: Int, _ part: Int = 0) -> Int {
        Int(hash(kind, UInt64(number), UInt64(part)) % UInt64(max(1, count)))
    }

    // MARK: Products

    /// How many products there are: the first ones from the beginning, another each week.
    package func products(at now: Date) -> Int {
        productCount + max(0, Int(now.timeIntervalSince(epoch) / 604_800))
    }

    package func variantCount(of product: Int) -> Int { 1 + pick(3, 1, product) }

    package func variant(_ number: Int, of product: Int, at now: Date) -> Variant {
        let born = epoch.addingTimeInterval(
            product < productCount ? -86_400 * Double(1 + product) : 604_800 * Double(product - productCount + 1)
        )
        // A price never changes; the title is mended once, a month after the product came.
        let mended = born.addingTimeInterval(30 * 86_400 + Double(number))
        let isMended = mended <= now
        let price = 499 + 50 * pick(300, 2, product, number)
        let brands = ["Quayside", "Ropewalk", "Lighthouse & Sons", "Ångström", "O'Hara \"Deluxe\""]
        let categories = ["Tea", "Tools", "Toys", "Books"]
        return Variant(
            product: product,
            number: number,
            sku: "SKU-\(product)-\(number)",
            title: "Ware \(product)\(isMended ? "" : " (draft)")",
            brand: brands[pick(brands.count, 3, product)],
            category: categories[pick(categories.count, 4, product)],
            priceCents: price,
            costCents: price * 6 / 10,
            createdAt: born,
            updatedAt: isMended ? mended : born
        )
    }

    // MARK: Orders

    package func orders(at now: Date) -> Int {
        let elapsed = now.timeIntervalSince(epoch)
        return elapsed < 0 ? 0 : Int(elapsed / Double(orderEvery)) + 1
    }

    package func placedAt(_ number: Int) -> Date { epoch.addingTimeInterval(Double(number * orderEvery)) }

    /// The longest time after which an order still changes.
    package static let changesFor: TimeInterval = 6 * 86_400

    /// The order as it was seen at `now`; nil before it was placed.
    package func order(_ number: Int, at now: Date) -> Order? {
        let placed = placedAt(number)
        guard placed <= now else { return nil }
        var updated = placed
        func happened(_ chance: Int, _ kind: UInt64, _ delay: TimeInterval) -> Bool {
            let instant = placed.addingTimeInterval(delay + Double(number % 600))
            guard pick(chance, kind, number) == 0, instant <= now else { return false }
            updated = max(updated, instant)
            return true
        }
        let isPaid = now >= placed.addingTimeInterval(60)
        if isPaid { updated = placed.addingTimeInterval(60) }
        let isCancelled = happened(29, 5, 7_200)
        let isEdited = hasEdits && happened(17, 6, 86_400)
        let isRefunded = happened(10, 7, 5 * 86_400)
        let goodsReturn = hasReturns ? self.goodsReturn(number, happened) : nil
        let isBack = goodsReturn == .open || goodsReturn == .closed
        let lines = (0..<(1 + pick(3, 8, number))).map { index -> Line in
            let product = pick(productCount, 9, number, index)
            let variant = variant(pick(variantCount(of: product), 10, number, index), of: product, at: now)
            let units = 1 + pick(3, 11, number, index) + (isEdited && index == 0 ? 1 : 0)
            let discount = pick(4, 12, number, index) == 0 ? variant.priceCents / 10 : 0
            return Line(
                number: index,
                variant: variant,
                units: units,
                discountCents: discount,
                refundedUnits: isRefunded && index == 0 ? 1 : 0,
                returnedUnits: isBack && index <= 1 ? 1 : 0
            )
        }
        let net = lines.reduce(0) { $0 + $1.netCents }
        return Order(
            number: number,
            placedAt: placed,
            updatedAt: updated,
            cancelledAt: isCancelled ? placed.addingTimeInterval(7_200 + Double(number % 600)) : nil,
            lines: lines,
            feeCents: isPaid ? net * 29 / 1_000 + 30 : 0,
            goodsReturn: goodsReturn
        )
    }

    /// Asked for after two days, declined or on its way back after three, closed a day later.
    private func goodsReturn(_ number: Int, _ happened: (Int, UInt64, TimeInterval) -> Bool) -> Return? {
        guard happened(7, 13, 2 * 86_400) else { return nil }
        guard happened(1, 14, 3 * 86_400) else { return .requested }
        if pick(5, 15, number) == 0 { return .declined }
        return happened(1, 16, 4 * 86_400) ? .closed : .open
    }

    /// When the order would be refunded, if it is.
    package func refundedAt(_ number: Int) -> Date {
        placedAt(number).addingTimeInterval(5 * 86_400 + Double(number % 600))
    }

    // MARK: Control totals

    package struct DayTotal: Sendable, Equatable {
        package var units = 0
        package var revenueCents = 0
        package var costCents = 0
        package var feeCents = 0
        package init() {}
    }

    /// What was sold and charged by day of the shop's zone, refunds, returns and cancellations taken off, as of `now`.
    package func ledger(at now: Date) -> [Date: DayTotal] {
        var calendar = Calendar(identifier: .gregorian)
        calendar.timeZone = zone
        var days: [Date: DayTotal] = [:]
        for number in 0..<orders(at: now) {
            guard let order = order(number, at: now) else { continue }
            let day = calendar.startOfDay(for: order.placedAt)
            if order.cancelledAt == nil {
                for line in order.lines {
                    days[day, default: DayTotal()].units += line.units - line.backUnits
                    days[day, default: DayTotal()].revenueCents += line.netCents - line.backCents
                    days[day, default: DayTotal()].costCents +=
                        line.variant.costCents * (line.units - line.backUnits)
                }
            }
            if order.feeCents > 0 {
                let paid = calendar.startOfDay(for: order.placedAt.addingTimeInterval(60))
                days[paid, default: DayTotal()].feeCents += order.feeCents
            }
        }
        return days
    }

    /// Cents as decimal text.
    package static func money(_ cents: Int) -> String {
        let sign = cents < 0 ? "-" : ""
        let rest = cents.magnitude % 100
        return "\(sign)\(cents.magnitude / 100).\(rest < 10 ? "0" : "")\(rest)"
    }
}
