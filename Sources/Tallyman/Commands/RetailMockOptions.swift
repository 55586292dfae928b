import ArgumentParser
import Foundation
import HTTPServer
import RetailMock
import Runtime

/// What the made-up shop of `mock-api --retail` is like.
struct RetailMockOptions: ParsableArguments {
    static let port = 4_010

    @Option(name: .long, help: "The shop's history follows from it and the clock.") var seed: UInt64 = 1
    @Option(name: .long, help: "What Authorization must carry.") var key = "sample"
    @Option(name: .long, help: "Days ago that the shop opened.") var days = 7
    @Option(name: .long, help: "Seconds between two sales.") var secondsPerSale = 60.0

    func validate() throws {
        guard (0...3_660).contains(days) else { throw ValidationError("--days must be from 0 to 3660.") }
        guard secondsPerSale >= 0.001 else { throw ValidationError("--seconds-per-sale must be 0.001 or more.") }
    }

    /// From the start of a day: restarted the same day, the shop tells the same story.
    var router: Router {
        let today = (Date().timeIntervalSince1970 / 86_400).rounded(.down) * 86_400
        let shop = SampleShop(
            seed: seed,
            opened: Date(timeIntervalSince1970: today - Double(days) * 86_400),
            secondsPerSale: secondsPerSale
        )
        return RetailMockAPI(shop: shop, key: Secret(key)).router
    }
}
