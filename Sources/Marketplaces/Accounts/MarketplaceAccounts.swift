import Foundation
import Runtime

/// Several shops and sellers, as the JSON file of `MARKETPLACE_ACCOUNTS` lists them.
package struct MarketplaceAccounts: Sendable {
    package var shopify: [ShopifyAccount] = []
    package var amazon: [AmazonAccount] = []

    package init() {}

    /// Reads `{"shopify": [{account, country, shop, accessToken | clientId, clientSecret, refreshToken?}], "amazon":
    /// [{account, sellerId, marketplaces, sandbox?, accessToken | clientId, clientSecret, refreshToken}]}`.
    ///
    /// Throws `.settingsInvalid` naming the entry and the member that is wrong, never its value.
    package init(json: [UInt8]) throws {
        let document: WireJSON
        do {
            document = try WireJSON(parsing: json)
        } catch {
            throw Self.refused("the file is not JSON")
        }
        for (name, value) in document.object ?? [:] {
            guard ["shopify", "amazon"].contains(name), value.array != nil else {
                throw Self.refused("members are the lists \"shopify\" and \"amazon\"")
            }
        }
        for (index, entry) in (document["shopify"].array ?? []).enumerated() {
            shopify.append(try Self.shop(entry, "shopify[\(index)]"))
        }
        for (index, entry) in (document["amazon"].array ?? []).enumerated() {
            amazon.append(try Self.seller(entry, "amazon[\(index)]"))
        }
        guard !shopify.isEmpty || !amazon.isEmpty else { throw Self.refused("it lists no account") }
        let scopes =
            shopify.map { "\($0.accountID)/\($0.settings.shop)" }
            + amazon.flatMap { account in account.marketplaces.map { "\(account.accountID)/\($0.id)" } }
        guard Set(scopes).count == scopes.count else { throw Self.refused("it lists a shop or marketplace twice") }
    }

    private static func refused(_ reason: String) -> TallyError {
        TallyError(.settingsInvalid, during: "settings.accounts", reason)
    }

    private static func text(_ entry: WireJSON, _ name: String, _ place: String) throws -> String {
        guard let text = entry[name].string, !text.isEmpty else { throw refused("\(place) needs \"\(name)\"") }
        return text
    }

    private static func secret(_ entry: WireJSON, _ name: String, _ place: String) throws -> Secret<String> {
        Secret(try text(entry, name, place))
    }

    private static func shop(_ entry: WireJSON, _ place: String) throws -> ShopifyAccount {
        let url = entry["apiUrl"].string.flatMap { URL(string: $0) }
        let id = entry["clientId"].string ?? ""
        guard let settings = ShopifySettings(shop: try text(entry, "shop", place), application: id, api: url) else {
            throw refused("\(place): \"shop\" must be a host name such as example.myshopify.com")
        }
        let credentials: ShopifyAccount.Credentials
        if !entry["accessToken"].isNull {
            credentials = .token(try secret(entry, "accessToken", place))
        } else if !entry["refreshToken"].isNull {
            credentials = .refresh(
                id: try text(entry, "clientId", place),
                secret: try secret(entry, "clientSecret", place),
                token: try secret(entry, "refreshToken", place)
            )
        } else {
            credentials = .client(
                id: try text(entry, "clientId", place),
                secret: try secret(entry, "clientSecret", place)
            )
        }
        return ShopifyAccount(
            accountID: try text(entry, "account", place),
            country: try text(entry, "country", place),
            settings: settings,
            credentials: credentials
        )
    }

    private static func seller(_ entry: WireJSON, _ place: String) throws -> AmazonAccount {
        let names = (entry["marketplaces"].array ?? []).map { $0.string ?? "" }
        let marketplaces = names.compactMap { AmazonMarketplace($0) }
        guard !names.isEmpty, marketplaces.count == names.count else {
            throw refused("\(place): \"marketplaces\" must list marketplace ids or countries of Amazon")
        }
        let credentials: AmazonAccount.Credentials =
            entry["accessToken"].isNull
            ? .loginWithAmazon(
                id: try text(entry, "clientId", place),
                secret: try secret(entry, "clientSecret", place),
                refresh: try secret(entry, "refreshToken", place)
            ) : .token(try secret(entry, "accessToken", place))
        let account = AmazonAccount(
            accountID: try text(entry, "account", place),
            sellerID: try text(entry, "sellerId", place),
            marketplaces: marketplaces,
            isSandbox: entry["sandbox"].bool ?? false,
            api: entry["apiUrl"].string.flatMap { URL(string: $0) },
            credentials: credentials
        )
        guard let account else { throw refused("\(place): marketplaces of one entry must be of one region") }
        return account
    }
}
