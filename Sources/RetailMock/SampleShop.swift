package import Foundation

/// A made-up shop whose whole history follows from a seed: what it sold by any instant, and what was edited later.
package struct SampleShop: Sendable {
    package struct Customer: Sendable, Equatable {
        package let id: String
        package let emails: [String]
        package let phoneNumbers: [String]
    }

    package struct Product: Sendable, Equatable {
        package let sku: String
        package let description: String
        package let cents: Int
        package let supplier: String
    }

    package struct Line: Sendable, Equatable {
        package let sku: String
        package let quantity: Int
        /// Of the whole line.
        package let cents: Int
    }

    package struct Sale: Sendable, Equatable {
        package let id: Int
        package let instant: Date
        package let customerID: String
        package let lines: [Line]
        package var cents: Int { lines.map(\.cents).reduce(0, +) }
    }

    package let seed: UInt64
    /// When the first sale was made.
    package let opened: Date
    package let secondsPerSale: Double
    package let customerCount: Int
    package let productCount: Int
    /// One sale of so many is edited, `editDelay` after it was made; 0 for none.
    package let editOneOf: Int
    package let editDelay: TimeInterval

    package init(
        seed: UInt64,
        opened: Date,
        secondsPerSale: Double = 60,
        customerCount: Int = 40,
        productCount: Int = 25,
        editOneOf: Int = 7,
        editDelay: TimeInterval = 3_600
    ) {
        self.seed = seed
        self.opened = opened
        self.secondsPerSale = max(0.001, secondsPerSale)
        self.customerCount = max(1, customerCount)
        self.productCount = max(1, productCount)
        self.editOneOf = editOneOf
        self.editDelay = editDelay
    }

    /// The id of the last sale by an instant; 0 before the first. Ids begin at 1 and have gaps.
    package func lastSaleID(at now: Date) -> Int {
        let age = now.timeIntervalSince(opened)
        return age < 0 ? 0 : Int(age / secondsPerSale) + 1
    }

    /// The sale as the source shows it at an instant; nil for an id that was never given or is not yet.
    package func sale(_ id: Int, at now: Date) -> Sale? {
        guard id >= 1, id <= lastSaleID(at: now), !mix(id, 1).isMultiple(of: 31) else { return nil }
        let instant = opened.addingTimeInterval(Double(id - 1) * secondsPerSale)
        let isEdited =
            editOneOf > 0 && mix(id, 2) % UInt64(editOneOf) == 0 && now >= instant.addingTimeInterval(editDelay)
        return Sale(
            id: id,
            instant: instant,
            customerID: customer(Int(mix(id, 3) % UInt64(customerCount))).id,
            lines: isEdited ? edited(lines(id), id) : lines(id)
        )
    }

    private func lines(_ id: Int) -> [Line] {
        (0..<Int(1 + mix(id, 4) % 4)).map { index in
            let product = product(Int(mix(id, 10 + index) % UInt64(productCount)))
            let quantity = Int(1 + mix(id, 20 + index) % 5)
            return Line(sku: product.sku, quantity: quantity, cents: product.cents * quantity)
        }
    }

    /// Another quantity of the first line, or one line more, or one less.
    private func edited(_ lines: [Line], _ id: Int) -> [Line] {
        let first = lines[0]
        switch mix(id, 5) % 3 {
        case 0 where lines.count > 1: return Array(lines.dropFirst())
        case 1:
            let more = product(Int(mix(id, 6) % UInt64(productCount)))
            return lines + [Line(sku: more.sku, quantity: 1, cents: more.cents)]
        default:
            let each = first.cents / first.quantity
            return [Line(sku: first.sku, quantity: first.quantity + 1, cents: each * (first.quantity + 1))]
                + lines.dropFirst()
        }
    }

    package func customer(_ number: Int) -> Customer {
        let id = "C\(1_000 + number)"
        let name = ["ada", "grace", "jürgen", "zoë", "noor"][number % 5]
        return Customer(
            id: id,
            emails: (0..<Int(mix(number, 30) % 3)).map { "\(name).\(number)+\($0)@example.com" },
            phoneNumbers: number % 4 == 0 ? [] : ["+49 30 \(100_000 + number * 37)"]
        )
    }

    package func product(_ number: Int) -> Product {
        Product(
            sku: "SKU-\(100 + number)",
            description: "\(["Tea \"Assam\"", "Café crème", "Plain\\mug", "Spoon"][number % 4]) No. \(number)",
            cents: Int(1 + mix(number, 40) % 19_999),
            supplier: "Supplier \(number % 6)"
        )
    }

    /// SplitMix64's finaliser over the seed and two numbers.
    func mix(_ number: Int, _ salt: Int) -> UInt64 {
        var mixed = seed &+ UInt64(bitPattern: Int64(number)) &* 0x9E37_79B9_7F4A_7C15
        mixed = mixed &+ UInt64(bitPattern: Int64(salt)) &* 0xD1B5_4A32_D192_ED03
        mixed = (mixed ^ (mixed >> 30)) &* 0xBF58_476D_1CE4_E5B9
        mixed = (mixed ^ (mixed >> 27)) &* 0x94D0_49BB_1331_11EB
        return mixed ^ (mixed >> 31)
    }
}

/// The shop's own books: what its sales come to by an instant.
package struct ShopBooks: Sendable, Equatable {
    package var sales = 0
    package var lines = 0
    package var quantity = 0
    package var cents = 0
    /// By customer and day in UTC, as `C1000 2026-01-15`.
    package var centsByCustomerDay: [String: Int] = [:]

    package init(_ shop: SampleShop, at now: Date) {
        let last = shop.lastSaleID(at: now)
        guard last > 0 else { return }
        for id in 1...last {
            guard let sale = shop.sale(id, at: now) else { continue }
            sales += 1
            lines += sale.lines.count
            quantity += sale.lines.map(\.quantity).reduce(0, +)
            cents += sale.cents
            let day = sale.instant.formatted(Date.ISO8601FormatStyle(timeZone: .gmt)).prefix(10)
            centsByCustomerDay["\(sale.customerID) \(day)", default: 0] += sale.cents
        }
    }
}
