import Engine
package import Foundation
package import HTTPClient
package import Runtime

/// One seller in one region, and how to get in.
package struct AmazonAccount: Sendable {
    package enum Credentials: Sendable {
        /// A token obtained elsewhere.
        case token(Secret<String>)
        /// Login with Amazon: an hour's tokens for a refresh token.
        case loginWithAmazon(id: String, secret: Secret<String>, refresh: Secret<String>)
    }

    package let accountID: String
    package let sellerID: String
    package let marketplaces: [AmazonMarketplace]
    package let baseURL: URL
    package let loginURL: URL
    package let credentials: Credentials

    /// nil unless all marketplaces are of one region. `api` replaces the region's host, for a mock.
    package init?(
        accountID: String,
        sellerID: String,
        marketplaces: [AmazonMarketplace],
        isSandbox: Bool = false,
        api: URL? = nil,
        credentials: Credentials
    ) {
        guard let region = marketplaces.first?.region, marketplaces.allSatisfy({ $0.region == region }),
            let own = region.url(isSandbox: isSandbox), let login = URL(string: "https://api.amazon.com")
        else { return nil }
        self.accountID = accountID
        self.sellerID = sellerID
        self.marketplaces = marketplaces
        baseURL = api ?? own
        loginURL = (api ?? login).appending(path: "auth/o2/token")
        self.credentials = credentials
    }

    fileprivate var application: String {
        if case .loginWithAmazon(let id, _, _) = credentials { id } else { "" }
    }

    fileprivate func tokens(_ transport: any HTTPTransport, _ vault: (any TokenKeeping)?) -> any AccessTokens {
        switch credentials {
        case .token(let token): return FixedToken(token)
        case .loginWithAmazon(let id, let secret, let refresh):
            let grant = TokenGrant(
                name: TokenGrant.name("amazon:\(sellerID)", refresh),
                url: loginURL,
                clientID: id,
                clientSecret: secret,
                refreshToken: refresh,
                remedy: "Authorise the application again in Seller Central and set AMAZON_REFRESH_TOKEN."
            )
            return GrantedTokens(grant: grant, transport: transport, keeper: vault)
        }
    }
}

extension MarketplaceJob {
    /// How each seller's marketplaces are opened by a run.
    package static func pulls(
        _ accounts: [AmazonAccount],
        transport: any HTTPTransport,
        vault: (any TokenKeeping)?
    ) -> MakePulls {
        let tokens = accounts.map { $0.tokens(transport, vault) }
        return { tools in
            zip(accounts, tokens).flatMap { account, tokens in
                let client = AmazonClient(
                    baseURL: account.baseURL,
                    sellerID: account.sellerID,
                    application: account.application,
                    transport: transport,
                    tokens: tokens,
                    throttle: tools.throttle,
                    clock: VendorClock(now: tools.clock)
                )
                return account.marketplaces.enumerated().map { index, marketplace in
                    AccountPull(accountID: account.accountID, scope: marketplace.id) {
                        AmazonSource(
                            client: client,
                            marketplace: marketplace,
                            accountID: account.accountID,
                            isFirst: index == 0
                        )
                    }
                }
            }
        }
    }

    /// The synthetic seller, as it is at the instant a run asks about.
    package static func mockAmazon(
        accountID: String,
        marketplaces: [AmazonMarketplace],
        orderEvery: Int = 3_600
    ) -> MakePulls {
        { tools in
            // What is asked about must be two minutes old.
            let asOf = min(tools.until.map { $0.addingTimeInterval(150) } ?? tools.now, tools.now)
            let trades = MockAmazon.trades(marketplaces, orderEvery: orderEvery)
            let mock = MockAmazon(trades: trades, sellerID: "A0MOCKSELLER", now: { asOf })
            let account = AmazonAccount(
                accountID: accountID,
                sellerID: "A0MOCKSELLER",
                marketplaces: marketplaces,
                credentials: .token(Secret("mock"))
            )
            guard let account else { return [] }
            return try await pulls([account], transport: mock, vault: nil)(tools)
        }
    }
}

extension MockAmazon {
    /// One synthetic trade for each marketplace, in its own currency and zone.
    package static func trades(_ marketplaces: [AmazonMarketplace], orderEvery: Int = 3_600) -> [String: MockTrade] {
        let pairs = marketplaces.enumerated().map { index, marketplace in
            (
                marketplace.id,
                MockTrade(
                    orderEvery: orderEvery,
                    seed: UInt64(100 + index),
                    currency: marketplace.currency,
                    zone: marketplace.zone.name,
                    hasEdits: false,
                    hasReturns: false
                )
            )
        }
        return Dictionary(pairs, uniquingKeysWith: { first, _ in first })
    }
}
