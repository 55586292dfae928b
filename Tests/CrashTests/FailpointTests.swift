import Foundation
import TestKit
import Testing

/// INV-7: killed at every step between reading and committing, the next run finishes the work and nothing stays.
@Suite(.serialized) struct FailpointTests {
    /// Every point there is, and how often a sync of this shop surely passes it.
    private static let points: [(name: String, passes: Int)] = [
        ("submit.leaseWon", 1), ("submit.recorded", 1), ("submit.running", 1), ("run.started", 1),
        ("source.pageRead", 2), ("target.chunkRead", 1), ("compare.found", 1), ("compare.settled", 1),
        ("write.afterFence", 5), ("insert.sent", 1), ("update.staged", 5), ("write.beforeCommit", 5),
        ("write.afterCommit", 5), ("sync.orphans", 1), ("sync.durable", 1), ("sync.verify", 1),
        ("run.beforeFinish", 1), ("run.finished", 1),
    ]
    private static var kills: Int { Measured.isLong ? 50 : 2 }

    @Test func everyPointOfTheCodeIsKilled() throws {
        let root = URL(filePath: #filePath).deletingLastPathComponent().appending(path: "../../Sources")
        var found: Set<String> = []
        for folder in ["Engine", "ProductSync"] {
            let files = FileManager.default.enumerator(
                at: root.appending(path: folder),
                includingPropertiesForKeys: nil
            )
            while let file = files?.nextObject() as? URL {
                guard file.pathExtension == "swift" else { continue }
                let text = try String(contentsOf: file, encoding: .utf8)
                for match in text.matches(of: #/failpoint\.reach\("([^"]+)"\)/#) {
                    found.insert(String(match.output.1))
                }
            }
        }
        // Those of shards are killed at in ShardTests.
        #expect(found.filter { !$0.hasPrefix("shard.") } == Set(Self.points.map(\.name)))
        #expect(found.filter { $0.hasPrefix("shard.") } == Set(ShardTests.points))
    }

    @Test func killedAtEveryPointTheNextRunFinishes() async throws {
        let shop = try await CrashShop.make(products: 2_000)
        let whole = try shop.digest(shop.template)
        var killed = 0
        for (name, passes) in Self.points {
            for kill in 0..<Self.kills {
                let cart = try shop.damagedCart()
                var settings = shop.settings(cart: cart)
                settings["SYNC_ORPHANS"] = "delete"
                settings["SYNC_MAX_DELETE_PERCENT"] = "100"
                try shop.postgres.psql(
                    cart,
                    "INSERT INTO product (id) SELECT 'nobody-' || n FROM generate_series(1, 50) n"
                )
                let place: Comment = "\(name), kill \(kill)"
                settings["TALLYMAN_FAILPOINT"] = "\(name):\(1 + kill % passes)"
                let died = try TallymanBinary.run(["sync"], settings)
                #expect(died.exit == .signal(SIGKILL), "\(place): \(died.errorText)")
                killed += died.exit == .signal(SIGKILL) ? 1 : 0
                settings["TALLYMAN_FAILPOINT"] = nil
                let next = try TallymanBinary.run(["sync", "--verify", "--json"], settings)
                #expect(next.exit == .code(0), "\(place): \(next.outputText) \(next.errorText)")
                #expect(next.outputText.contains("full-compare"), place)
                #expect(try shop.digest(cart) == whole, place)
                #expect(try shop.leftovers(cart) == "0|0|0\n", place)
                let states = try shop.postgres.psql(
                    cart,
                    "SELECT string_agg(state, ',' ORDER BY queued_at) FROM etl.runs"
                )
                let before = ["submit.leaseWon": "", "run.finished": "succeeded,"][name] ?? "interrupted,"
                #expect(states == "\(before)succeeded\n", place)
                shop.drop(cart)
            }
        }
        Measured.print("kills at named points", killed)
        shop.server.stop()
    }
}
