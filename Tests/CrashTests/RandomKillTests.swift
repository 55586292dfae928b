import Foundation
import TestKit
import Testing

/// INV-7: killed at any moment, the next run finishes the work, and nothing of the first stays.
@Suite(.serialized) struct RandomKillTests {
    private static let rounds = 30

    /// A moment is a number of bytes that have passed between the sync and one of its databases.
    @Test func thirtyRandomMoments() async throws {
        let shop = try await CrashShop.make()
        let whole = try shop.digest(shop.template)
        guard let port = URL(string: shop.template)?.port else { throw TestServiceMissing("the URL has no port") }
        var killed = 0
        for seed in SeededGenerator.seeds(Self.rounds) {
            var random = SeededGenerator(seed: seed)
            let cart = try shop.damagedCart()
            let proxy = try TCPProxy(to: port)
            let through = cart.replacingOccurrences(of: ":\(port)/", with: ":\(proxy.port)/")
            // A whole sync moves about 10 MB between it and the cart; a few moments lie before the first page.
            let moment =
                Int.random(in: 0..<2, using: &random) == 0
                ? Int.random(in: 0..<40_000, using: &random) : Int.random(in: 40_000..<9_000_000, using: &random)
            let child = try TallymanBinary.start(["sync"], shop.settings(cart: through))
            let reached: @Sendable ((bytes: Int, connections: Int)) -> Bool = { $0.bytes >= moment }
            _ = try await withThrowingTaskGroup(of: Void.self) { group in
                group.addTask { try await proxy.passed.wait(within: .seconds(60), until: reached) }
                group.addTask { try await child.wait(within: .seconds(60)) }
                try await group.next()
                group.cancelAll()
            }
            child.signal(SIGKILL)
            if try await child.wait() == .signal(SIGKILL) { killed += 1 }
            let next = try TallymanBinary.run(["sync", "--verify", "--json"], shop.settings(cart: cart))
            #expect(next.exit == .code(0), "\(random) moment \(moment): \(next.outputText) \(next.errorText)")
            #expect(next.outputText.contains("full-compare"), "\(random)")
            #expect(try shop.digest(cart) == whole, "\(random) moment \(moment)")
            #expect(try shop.leftovers(cart) == "0|0|0\n", "\(random) moment \(moment)")
            let open = try shop.postgres.psql(
                cart,
                "SELECT count(*) FROM etl.runs WHERE state IN ('queued', 'running')"
            )
            #expect(open == "0\n", "the killed run is closed: \(random)")
            proxy.close()
            shop.drop(cart)
        }
        #expect(killed >= Self.rounds / 2, "most moments lay inside the run")
        shop.server.stop()
    }
}
