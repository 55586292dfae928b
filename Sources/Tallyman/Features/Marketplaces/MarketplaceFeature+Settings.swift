import Foundation
import Marketplaces
import Runtime

extension MarketplaceFeature {
    private static let ownVariables: [SettingName] = [
        .databaseURL, .shopifyShop, .amazonRefreshToken, .amazonAccessToken, .marketplaceAccounts,
    ]

    static func isOn(_ reader: SettingsReader) -> Bool {
        ownVariables.contains { reader.has($0) }
            || ["1", "true", "yes", "on"].contains(reader.string(.mock)?.lowercased())
    }

    static func read(_ reader: inout SettingsReader) -> MarketplaceFeature? {
        let isOn = isOn(reader)
        let isMock = reader.bool(.mock, default: false)
        let example = "postgresql://user:password@host:5432/unified"
        let database = isOn ? reader.database(.databaseURL, required: example) : nil
        var accounts = readFile(&reader)
        if let shop = readShop(&reader) { accounts.shopify.append(shop) }
        let marketplaces = readMarketplaces(&reader)
        if let seller = readSeller(&reader, marketplaces) { accounts.amazon.append(seller) }
        let shopify = reader.cron(.shopifyCronSchedule, default: "5 * * * *")
        let amazon = reader.cron(.amazonCronSchedule, default: "15 * * * *")
        let key = reader.secret(.tokenKey)
        guard let database, let shopify, let amazon else { return nil }
        return MarketplaceFeature(
            database: database,
            accountID: accountID(reader),
            country: country(reader),
            accounts: accounts,
            mock: isMock
                ? MarketplaceMock(accountID: accountID(reader), country: country(reader), marketplaces: marketplaces)
                : nil,
            tokenKey: key,
            shopifySchedule: shopify,
            amazonSchedule: amazon
        )
    }

    private static func accountID(_ reader: SettingsReader) -> String { reader.string(.accountID) ?? "default" }
    private static func country(_ reader: SettingsReader) -> String { (reader.string(.country) ?? "US").uppercased() }

    private static func readFile(_ reader: inout SettingsReader) -> MarketplaceAccounts {
        guard let path = reader.string(.marketplaceAccounts) else { return MarketplaceAccounts() }
        guard let data = FileManager.default.contents(atPath: path) else {
            reader.refuse(.marketplaceAccounts, "names a file that cannot be read")
            return MarketplaceAccounts()
        }
        do {
            return try MarketplaceAccounts(json: Array(data))
        } catch {
            reader.refuse(.marketplaceAccounts, TallyError.wrapping(error, during: "settings").summary)
            return MarketplaceAccounts()
        }
    }

    private static func url(_ name: SettingName, _ reader: inout SettingsReader) -> URL? {
        guard let text = reader.string(name) else { return nil }
        guard text.hasPrefix("http://") || text.hasPrefix("https://"), let url = URL(string: text) else {
            reader.refuse(name, "must be a URL that begins with http:// or https://")
            return nil
        }
        return url
    }

    private static func readShop(_ reader: inout SettingsReader) -> ShopifyAccount? {
        let api = url(.shopifyAPIURL, &reader)
        guard let shop = reader.string(.shopifyShop) else { return nil }
        let id = reader.string(.shopifyClientID)
        guard let settings = ShopifySettings(shop: shop, application: id ?? "", api: api) else {
            reader.refuse(.shopifyShop, "must be a host name such as example.myshopify.com")
            return nil
        }
        let secret = reader.secret(.shopifyClientSecret)
        let credentials: ShopifyAccount.Credentials
        if let token = reader.secret(.shopifyAccessToken) {
            credentials = .token(token)
        } else if let id, let secret {
            credentials =
                reader.secret(.shopifyRefreshToken).map { .refresh(id: id, secret: secret, token: $0) }
                ?? .client(id: id, secret: secret)
            if reader.has(.shopifyRefreshToken), !reader.has(.tokenKey) {
                reader.refuse(.tokenKey, "is required: Shopify rotates SHOPIFY_REFRESH_TOKEN, which is stored sealed")
            }
        } else {
            reader.refuse(.shopifyShop, "needs SHOPIFY_CLIENT_ID and SHOPIFY_CLIENT_SECRET, or SHOPIFY_ACCESS_TOKEN")
            return nil
        }
        return ShopifyAccount(
            accountID: accountID(reader),
            country: country(reader),
            settings: settings,
            credentials: credentials
        )
    }

    /// Those of AMAZON_MARKETPLACE_IDS, else the one of COUNTRY, else the United States.
    private static func readMarketplaces(_ reader: inout SettingsReader) -> [AmazonMarketplace] {
        let names = reader.list(.amazonMarketplaceIDs)
        let found = names.compactMap { AmazonMarketplace($0) }
        if found.count != names.count {
            reader.refuse(.amazonMarketplaceIDs, "must list marketplace ids of Amazon, such as A1PA6795UKMFR9")
        }
        if !found.isEmpty { return found }
        // A feature that is off asks for no time zone: ICU would open its tables for it.
        guard isOn(reader) else { return [] }
        return [AmazonMarketplace(country(reader)) ?? AmazonMarketplace("US")].compactMap { $0 }
    }

    private static func readSeller(_ reader: inout SettingsReader, _ marketplaces: [AmazonMarketplace])
        -> AmazonAccount?
    {
        let api = url(.amazonAPIURL, &reader)
        let isSandbox = reader.bool(.amazonSandbox, default: false)
        let regions = Dictionary(uniqueKeysWithValues: AmazonRegion.allCases.map { ($0.rawValue, $0) })
        let region = reader.choice(.amazonRegion, regions.mapValues { Optional($0) }, default: nil)
        let credentials: AmazonAccount.Credentials
        if let refresh = reader.secret(.amazonRefreshToken) {
            guard let id = reader.string(.amazonLWAClientID), let secret = reader.secret(.amazonLWAClientSecret) else {
                reader.refuse(.amazonRefreshToken, "needs AMAZON_LWA_CLIENT_ID and AMAZON_LWA_CLIENT_SECRET beside it")
                return nil
            }
            credentials = .loginWithAmazon(id: id, secret: secret, refresh: refresh)
        } else if let token = reader.secret(.amazonAccessToken) {
            credentials = .token(token)
        } else {
            return nil
        }
        let account = AmazonAccount(
            accountID: accountID(reader),
            sellerID: reader.string(.amazonSellerID) ?? accountID(reader),
            marketplaces: marketplaces,
            isSandbox: isSandbox,
            api: api,
            credentials: credentials
        )
        guard let account, region.map({ region in marketplaces.allSatisfy { $0.region == region } }) ?? true else {
            reader.refuse(.amazonMarketplaceIDs, "must be marketplaces of one region, that of AMAZON_REGION")
            return nil
        }
        return account
    }
}
