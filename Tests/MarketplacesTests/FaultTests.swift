import Engine
import Foundation
import HTTPClient
import Logging
import Marketplaces
import Postgres
import Runtime
import Synchronization
import TestKit
import Testing

/// Throttling, failures, cut answers, lost tokens, kills: the end is that of one clean pull.
@Suite(.serialized) struct FaultTests {
    /// Property: whatever happens on the way, Amazon's tables end as a clean pull leaves them (INV-1, INV-3, INV-5).
    @Test(arguments: SeededGenerator.seeds(8))
    func interruptedPullsOfAmazonEndInTheTablesOfACleanOne(seed: UInt64) async throws {
        var random = SeededGenerator(seed: seed)
        let german = try #require(AmazonMarketplace("DE"))
        let trades = MockAmazon.trades([german], orderEvery: 40_000)
        let clean = try await PullBench()
        let quiet = MockAmazon(trades: trades, sellerID: "A0MOCKSELLER", now: { PullBench.noon })
        #expect(try await clean.run(clean.amazon(transport: quiet)).state == .succeeded, "\(random)")
        let bench = try await PullBench()
        for attempt in 0..<6 {
            let script = (0..<14).map { _ in
                Bool.random(using: &random) ? nil : MockFaults.Fault.allCases.randomElement(using: &random)
            }
            let faulty = MockAmazon(
                trades: trades,
                sellerID: "A0MOCKSELLER",
                faults: MockFaults(script: attempt == 5 ? [] : script),
                now: { PullBench.noon.addingTimeInterval(Double(attempt - 5) * 50_000) }
            )
            let killAt = Int.random(in: 1...6, using: &random)
            let killPoint = PullBench.killPoints.randomElement(using: &random)
            let reached = Watched(0)
            let failpoint = Failpoint { name in
                guard name == killPoint, attempt < 5 else { return }
                reached.change { $0 += 1 }
                if reached.value == killAt { throw TallyError(.unknown, during: "test", "killed") }
            }
            let at = PullBench.noon.addingTimeInterval(Double(attempt - 5) * 50_000)
            _ = try await bench.run(bench.amazon(at: at, transport: faulty), failpoint: failpoint)
        }
        let last = try await bench.run(bench.amazon(transport: quiet))
        #expect(last.state == .succeeded, "\(random) \(String(describing: last.error))")
        #expect(try bench.tables() == clean.tables(), "\(random)")
        await bench.pool.close()
        await clean.pool.close()
    }

    @Test(arguments: MockShopify.BulkFault.allCases)
    func aBulkOperationGoingWrongLosesNothing(fault: MockShopify.BulkFault) async throws {
        let trade = MockTrade(orderEvery: 40_000, productCount: 5)
        let clean = try await PullBench()
        #expect(try await clean.run(clean.shopify(trade)).state == .succeeded)
        let bench = try await PullBench()
        let mock = MockShopify(
            trade: trade,
            shop: "tally-demo.myshopify.com",
            // Products, sales and fees of two runs; listings wait for their products.
            bulkFaults: Array(repeating: fault, count: fault == .short ? 6 : 2),
            now: { PullBench.noon }
        )
        let record = try await bench.run(bench.shopify(trade, transport: mock))
        if fault == .short {
            #expect(record.state == .failed, "a result that lacks lines is not believed")
            #expect(record.error?.kind == "source-unreachable")
            #expect(try bench.psql("SELECT count(*) FROM etl.watermarks WHERE cursor_ts IS NOT NULL") == "0")
            _ = try bench.psql("DELETE FROM etl.watermarks")
            #expect(try await bench.run(bench.shopify(trade, transport: mock)).state == .failed)
            _ = try bench.psql("DELETE FROM etl.watermarks")
            #expect(try await bench.run(bench.shopify(trade, transport: mock)).state == .succeeded)
        } else {
            #expect(record.state == .succeeded, "\(fault) \(String(describing: record.error))")
        }
        #expect(try bench.tables() == clean.tables(), "\(fault)")
        await bench.pool.close()
        await clean.pool.close()
    }

    /// A watermark that stands still is no success: neither of a run that read a part, nor of one that read nothing.
    @Test func whatPausedIsNoSuccessOfTheJob() async throws {
        let trade = MockTrade(orderEvery: 20_000, productCount: 4)
        let bench = try await PullBench()
        let before = PullBench.noon.addingTimeInterval(-40 * 86_400)
        let whole = try await bench.run(bench.shopify(trade, at: before))
        #expect(whole.state == .succeeded, "\(String(describing: whole.error))")
        #expect(whole.summary?["proof"]?.string == Proof.fullCompare.rawValue)
        // The bucket holds one page, and takes five minutes to fill.
        let mock = MockShopify(
            trade: trade,
            shop: "tally-demo.myshopify.com",
            faults: MockFaults(perSecond: 1, burst: 400),
            now: { PullBench.noon }
        )
        let some = try await bench.run(bench.shopify(trade, transport: mock, budget: .zero))
        #expect(some.state == .succeeded, "\(String(describing: some.error))")
        #expect(some.summary?["counts"]?["paused"]?.int ?? 0 > 0)
        #expect(some.summary?["isWhole"] == false)
        let none = try await bench.run(bench.shopify(trade, transport: mock, budget: .zero))
        #expect(none.error?.kind == TallyError.Kind.serverBusy.rawValue, "\(none.state)")
        #expect(try await Ledger(state: bench.pool).lastSuccess(job: "shopify")?.id == whole.id)
        var products = RunOptions()
        products.pipeline = "products"
        let compared = try await bench.run(bench.shopify(trade), products)
        #expect(compared.summary?["proof"]?.string == Proof.commandTags.rawValue, "nothing was compared again")
        await bench.pool.close()
    }

    /// A run whose time is spent on waiting commits what it has; the next ones go on from there.
    @Test func aRunWithoutTimePausesAndTheNextGoesOn() async throws {
        let trade = MockTrade(orderEvery: 20_000, productCount: 4)
        let clean = try await PullBench()
        #expect(try await clean.run(clean.shopify(trade)).state == .succeeded)
        let bench = try await PullBench()
        let before = PullBench.noon.addingTimeInterval(-40 * 86_400)
        #expect(try await bench.run(bench.shopify(trade, at: before)).state == .succeeded)
        // A page costs 330 points: the bucket holds one, and fills again within half a second.
        let mock = MockShopify(
            trade: trade,
            shop: "tally-demo.myshopify.com",
            faults: MockFaults(perSecond: 1_000, burst: 400),
            now: { PullBench.noon }
        )
        var runs = 0
        var pauses = 0
        var options = RunOptions()
        options.pipeline = "sales"
        // A quick machine asks a hundred times while the bucket fills.
        while runs < 50_000 {
            runs += 1
            let record = try await bench.run(bench.shopify(trade, transport: mock, budget: .zero), options)
            if record.error?.kind != TallyError.Kind.serverBusy.rawValue {
                #expect(record.state == .succeeded, "\(String(describing: record.error))")
                guard record.summary?["counts"]?["paused"]?.int ?? 0 > 0 else { break }
            }
            pauses += 1
        }
        #expect(pauses > 0, "the bucket holds less than one pull costs")
        #expect(runs < 50_000)
        #expect(try await bench.run(bench.shopify(trade)).state == .succeeded)
        #expect(try bench.tables() == clean.tables())
        await bench.pool.close()
        await clean.pool.close()
    }

    /// Access tokens that wear out after three requests, and refresh tokens that are good once.
    @Test func tokensThatExpireOnTheWayAreRenewed() async throws {
        let bench = try await PullBench()
        let key = Secret(Data(repeating: 7, count: 32).base64EncodedString())
        let vault = try #require(TokenVault(key: key, pool: bench.pool))
        let grants = MockGrants(usesMax: 3, rotates: true)
        let mock = MockShopify(
            trade: PullBench.trade,
            shop: "tally-demo.myshopify.com",
            grants: grants,
            now: { PullBench.noon }
        )
        let account = ShopifyAccount(
            accountID: "acme",
            country: "DE",
            settings: try #require(ShopifySettings(shop: "tally-demo")),
            credentials: .refresh(id: "app", secret: Secret("hush"), token: Secret("shprt_first"))
        )
        for _ in 0..<2 {
            let job = MarketplaceJob(
                name: "shopify",
                target: bench.pool,
                state: bench.pool,
                clock: { PullBench.noon },
                pulls: MarketplaceJob.pulls([account], transport: mock, vault: vault, logger: PullBench.silent)
            )
            var options = RunOptions()
            options.full = true
            let record = try await bench.run(job, options)
            #expect(record.state == .succeeded, "\(String(describing: record.error))")
        }
        #expect(grants.granted > 4)
        #expect(try bench.psql("SELECT count(*) FROM marketplace.tokens") == "1")
        await bench.pool.close()
    }

    /// No secret in any log line, error or ledger row.
    @Test func noSecretIsWrittenAnywhere() async throws {
        let bench = try await PullBench()
        let lines = Watched<[String]>([])
        let logger = Logger(label: "test") { _ in CapturingHandler(lines: lines) }
        let secret = "shpss_TOPSECRET"
        let account = ShopifyAccount(
            accountID: "acme",
            country: "DE",
            settings: try #require(ShopifySettings(shop: "tally-demo")),
            credentials: .refresh(id: "app", secret: Secret(secret), token: Secret("shprt_TOPSECRET_revoked"))
        )
        for faults in [[], MockFaults.Fault.allCases.map { Optional($0) }] {
            for credentials in [account.credentials, .token(Secret("shpat_TOPSECRET"))] {
                let used = ShopifyAccount(
                    accountID: "acme",
                    country: "DE",
                    settings: account.settings,
                    credentials: credentials
                )
                let mock = MockShopify(
                    trade: PullBench.trade,
                    shop: account.settings.shop,
                    faults: MockFaults(script: faults),
                    grants: MockGrants(),
                    now: { PullBench.noon }
                )
                let job = MarketplaceJob(
                    name: "shopify",
                    target: bench.pool,
                    state: bench.pool,
                    clock: { PullBench.noon },
                    pulls: MarketplaceJob.pulls([used], transport: mock, vault: nil, logger: logger)
                )
                let record = try await bench.run(job, logger: logger)
                lines.change { $0.append("\(record) \(String(reflecting: used)) \(String(describing: record.error))") }
            }
        }
        lines.change { $0.append((try? bench.psql("SELECT * FROM etl.runs")) ?? "") }
        #expect(lines.value.count > 4)
        for line in lines.value { #expect(!line.contains("TOPSECRET"), "\(line.prefix(80))") }
        await bench.pool.close()
    }

    /// The same of Amazon: client secret, refresh tokens old and rotated, access tokens, under every fault.
    @Test func noSecretOfAmazonIsWrittenAnywhere() async throws {
        let bench = try await PullBench()
        let lines = Watched<[String]>([])
        let logger = Logger(label: "test") { _ in CapturingHandler(lines: lines) }
        let german = try #require(AmazonMarketplace("DE"))
        let key = Secret(Data(repeating: 7, count: 32).base64EncodedString())
        let vault = try #require(TokenVault(key: key, pool: bench.pool))
        let scripts: [[MockFaults.Fault?]] = [
            [], MockFaults.Fault.allCases, Array(repeating: .unauthorized, count: 40),
        ]
        for (number, script) in scripts.enumerated() {
            for refresh in ["Atzr|TOPSECRET-\(number)", "Atzr|TOPSECRET_revoked"] {
                let account = try #require(
                    AmazonAccount(
                        accountID: "acme",
                        sellerID: "A0MOCKSELLER",
                        marketplaces: [german],
                        credentials: .loginWithAmazon(
                            id: "app",
                            secret: Secret("amzn1.oa2-cs.TOPSECRET"),
                            refresh: Secret(refresh)
                        )
                    )
                )
                let mock = MockAmazon(
                    trades: MockAmazon.trades([german], orderEvery: 400_000),
                    sellerID: "A0MOCKSELLER",
                    faults: MockFaults(script: script),
                    grants: MockGrants(rotates: true),
                    now: { PullBench.noon }
                )
                let job = MarketplaceJob(
                    name: "amazon",
                    target: bench.pool,
                    state: bench.pool,
                    clock: { PullBench.noon },
                    pulls: MarketplaceJob.pulls([account], transport: mock, vault: vault)
                )
                let record = try await bench.run(job, logger: logger)
                lines.change { $0.append("\(record) \(String(reflecting: account))") }
            }
        }
        #expect(try bench.psql("SELECT count(*) FROM etl.runs WHERE state = 'succeeded'") != "0")
        #expect(try bench.psql("SELECT count(*) FROM etl.runs WHERE state = 'failed'") != "0")
        lines.change { $0.append((try? bench.psql("SELECT * FROM etl.runs")) ?? "") }
        lines.change {
            $0.append((try? bench.psql("SELECT *, encode(sealed, 'escape') FROM marketplace.tokens")) ?? "")
        }
        #expect(lines.value.count > 6)
        for line in lines.value {
            for word in ["TOPSECRET", "Atza", "Atzr", "mock-access", "mock-refresh"] {
                #expect(!line.contains(word), "\(word) in \(line.prefix(80))")
            }
        }
        await bench.pool.close()
    }
}

private struct CapturingHandler: LogHandler {
    let lines: Watched<[String]>
    var metadata: Logger.Metadata = [:]
    var logLevel: Logger.Level = .trace

    subscript(metadataKey key: String) -> Logger.Metadata.Value? {
        get { metadata[key] }
        set { metadata[key] = newValue }
    }

    func log(event: LogEvent) {
        lines.change { $0.append("\(event.message) \(event.metadata ?? [:])") }
    }
}
