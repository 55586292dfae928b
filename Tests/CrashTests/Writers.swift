import Foundation
import Synchronization
import TestKit

/// Changes the shop at random and knows by itself what it must look like: the independent side of the comparison.
final class Writers: Sendable {
    private struct State {
        /// Revision by number.
        var products: [Int: Int] = [:]
        var next: Int
        var writes = 0
    }
    private let state: Mutex<State>
    private let source: MongoStandIn

    /// Over a source that holds products of these numbers in revision 0.
    init(_ source: MongoStandIn, products: Range<Int>) {
        self.source = source
        state = Mutex(
            State(products: Dictionary(uniqueKeysWithValues: products.map { ($0, 0) }), next: products.upperBound)
        )
    }

    var writes: Int { state.withLock { $0.writes } }

    /// A handful of documents added, changed or removed; a number is never used again after its document is gone.
    func write(_ random: inout SeededGenerator) throws {
        try state.withLock { state in
            for _ in 0..<Int.random(in: 1...12, using: &random) {
                let kind = Int.random(in: 0..<10, using: &random)
                if kind == 0 {
                    state.products[state.next] = 0
                    try source.replace(ShopDocuments.product(state.next), in: "products")
                    state.next += 1
                } else if let number = state.products.keys.randomElement(using: &random) {
                    if kind == 1 {
                        state.products[number] = nil
                        var filter = BSONWriter()
                        filter.append("_id", objectID: ShopDocuments.id(number))
                        try source.remove(filter.finish(), from: "products")
                    } else {
                        let revision = (state.products[number] ?? 0) + 1
                        state.products[number] = revision
                        try source.replace(ShopDocuments.product(number, revision: revision), in: "products")
                    }
                }
                state.writes += 1
            }
        }
    }

    /// What the cart must hold, as lines that psql prints.
    var expected: Set<String> {
        Set(
            state.withLock { $0.products }.map { number, revision in
                let title = revision == 0 ? "Product \(number)" : "Product \(number) rev \(revision)"
                let cents = (number % 500 + revision) * 100 + 99
                let price = "\(cents / 100).\(cents % 100)"
                let seller = ShopDocuments.hex(900_000_000 + number % 97)
                let image = "https://cdn.example/products/\(number).jpg"
                return [ShopDocuments.hex(number), title, price, image, seller, "\(number % 90)"].joined(separator: "|")
            }
        )
    }
}
