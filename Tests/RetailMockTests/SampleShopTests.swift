import Foundation
import RetailMock
import TestKit
import Testing

@Suite struct SampleShopTests {
    private static let opened = Date(timeIntervalSince1970: 1_767_225_600)

    @Test(arguments: SeededGenerator.seeds(20))
    func theSameSeedAndTimeTellTheSameStory(seed: UInt64) {
        let first = SampleShop(seed: seed, opened: Self.opened)
        let second = SampleShop(seed: seed, opened: Self.opened)
        let now = Self.opened.addingTimeInterval(20_000)
        #expect(ShopBooks(first, at: now) == ShopBooks(second, at: now))
        #expect(ShopBooks(first, at: now) != ShopBooks(SampleShop(seed: seed &+ 1, opened: Self.opened), at: now))
    }

    @Test func itGrowsAndOldSalesAreEdited() {
        let shop = SampleShop(seed: 5, opened: Self.opened)
        let early = Self.opened.addingTimeInterval(3_000)
        let late = Self.opened.addingTimeInterval(9_000)
        #expect(shop.lastSaleID(at: Self.opened.addingTimeInterval(-1)) == 0)
        #expect(shop.lastSaleID(at: late) > shop.lastSaleID(at: early))
        let before = (1...shop.lastSaleID(at: early)).map { shop.sale($0, at: early) }
        let after = (1...shop.lastSaleID(at: early)).map { shop.sale($0, at: late) }
        let changed = zip(before, after).filter { $0 != $1 }
        #expect(!changed.isEmpty && changed.count < before.count)
        #expect(zip(before, after).contains { ($0?.lines.count ?? 0) > ($1?.lines.count ?? 0) }, "lines go away")
        #expect(before.contains { $0 == nil }, "ids have gaps")
    }

    @Test func aDayOfBooksIsTheSumOfItsSales() {
        let shop = SampleShop(seed: 9, opened: Self.opened)
        let now = Self.opened.addingTimeInterval(50_000)
        let books = ShopBooks(shop, at: now)
        #expect(books.centsByCustomerDay.values.reduce(0, +) == books.cents)
        #expect(books.sales > 500 && books.lines > books.sales)
    }
}
