import Engine
import Foundation
package import HTTPClient
package import Logging
package import Runtime

/// One shop and how to get in.
package struct ShopifyAccount: Sendable {
    package enum Credentials: Sendable {
        /// A token obtained elsewhere.
        case token(Secret<String>)
        /// The app's own: tokens of 24 hours by client credentials.
        case client(id: String, secret: Secret<String>)
        /// An expiring offline token's refresh token, which Shopify rotates with each use.
        case refresh(id: String, secret: Secret<String>, token: Secret<String>)
    }

    package let accountID: String
    package let country: String
    package let settings: ShopifySettings
    package let credentials: Credentials

    package init(accountID: String, country: String, settings: ShopifySettings, credentials: Credentials) {
        self.accountID = accountID
        self.country = country
        self.settings = settings
        self.credentials = credentials
    }

    /// What Shopify signs webhooks with; nil for a bare token.
    package var clientSecret: Secret<String>? {
        switch credentials {
        case .token: nil
        case .client(_, let secret), .refresh(_, let secret, _): secret
        }
    }

    func tokens(_ transport: any HTTPTransport, _ vault: (any TokenKeeping)?) -> any AccessTokens {
        let grant: TokenGrant
        let url = settings.baseURL.appending(path: "admin/oauth/access_token")
        switch credentials {
        case .token(let token): return FixedToken(token)
        case .client(let id, let secret):
            grant = TokenGrant(
                name: "shopify:\(settings.shop)",
                url: url,
                clientID: id,
                clientSecret: secret,
                refreshToken: nil,
                remedy: "Check SHOPIFY_CLIENT_ID and SHOPIFY_CLIENT_SECRET, and that the app is installed in the shop."
            )
        case .refresh(let id, let secret, let token):
            grant = TokenGrant(
                name: TokenGrant.name("shopify:\(settings.shop)", token),
                url: url,
                clientID: id,
                clientSecret: secret,
                refreshToken: token,
                remedy: "Install the app in the shop again and set SHOPIFY_REFRESH_TOKEN to the new token."
            )
        }
        return GrantedTokens(grant: grant, transport: transport, keeper: vault)
    }
}

extension MarketplaceJob {
    /// How each account's shop is opened by a run.
    package static func pulls(
        _ accounts: [ShopifyAccount],
        transport: any HTTPTransport,
        vault: (any TokenKeeping)?,
        logger: Logger
    ) -> MakePulls {
        let tokens = accounts.map { $0.tokens(transport, vault) }
        return { tools in
            zip(accounts, tokens).map { account, tokens in
                AccountPull(accountID: account.accountID, scope: account.settings.shop) {
                    let client = ShopifyClient(
                        settings: account.settings,
                        transport: transport,
                        tokens: tokens,
                        throttle: tools.throttle,
                        clock: VendorClock(now: tools.clock),
                        logger: logger
                    )
                    return try await ShopifySource(
                        client: client,
                        accountID: account.accountID,
                        country: account.country
                    )
                }
            }
        }
    }

    /// The synthetic shop, as it is at the instant a run asks about.
    package static func mockShopify(
        _ trade: MockTrade = MockTrade(),
        accountID: String,
        country: String,
        logger: Logger
    ) -> MakePulls {
        { tools in
            guard let settings = ShopifySettings(shop: "tally-demo") else { return [] }
            let asOf = min(tools.until ?? tools.now, tools.now)
            let mock = MockShopify(trade: trade, shop: settings.shop, now: { asOf })
            let account = ShopifyAccount(
                accountID: accountID,
                country: country,
                settings: settings,
                credentials: .token(Secret("mock"))
            )
            return try await pulls([account], transport: mock, vault: nil, logger: logger)(tools)
        }
    }
}
