import ArgumentParser
import Engine
import Foundation
import Marketplaces
import Runtime

/// Takes recorded data in.
struct ImportCommand: AsyncParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "import",
        abstract: "Store recorded data as if it had been pulled.",
        subcommands: [ImportShopifyCommand.self]
    )
}

struct ImportShopifyCommand: TallyCommand {
    static let configuration = CommandConfiguration(
        commandName: "shopify",
        abstract: "Store recorded bodies of Shopify's REST API.",
        discussion: """
            Files hold bodies such as {"orders": […]} or {"product": {…}}, one each or one a line: products, orders,
            refunds, balance transactions, and shop.json for currency and time zone.
            """
    )

    @OptionGroup var common: CommonOptions
    @OptionGroup var waiting: WaitOptions

    @Argument(help: "Files of JSON or JSON lines.") var files: [String]
    @Option(name: .long, help: "The shop. Default: shop.json's, else SHOPIFY_SHOP.") var shop: String?
    @Option(name: .long, help: "The shop's currency. Default: what the files say.") var currency: String?
    @Option(name: .long, help: "The shop's IANA time zone. Default: shop.json's, else UTC.") var zone: String?
    @Flag(name: .long, help: "Compare only; write nothing.") var dryRun = false

    func validate() throws {
        if let zone, TimeZone(named: zone) == nil { throw ValidationError("--zone must be an IANA time zone.") }
    }

    func execute(_ console: Console) async throws -> ExitStatus {
        let settings = try settings()
        guard let feature = settings.features.lazy.compactMap({ $0 as? MarketplaceFeature }).first else {
            throw TallyError(
                .settingsInvalid,
                during: "command.import",
                "the marketplaces are not configured",
                remedy: "Set DATABASE_URL."
            )
        }
        var archive = ShopifyArchive()
        for file in files {
            guard let data = FileManager.default.contents(atPath: file) else {
                throw TallyError(.requestInvalid, during: "command.import", "a file cannot be read: \(file)")
            }
            try archive.take(Array(data))
        }
        guard let shop = shop ?? archive.shopName ?? feature.accounts.shopify.first?.settings.shop else {
            throw TallyError(.requestInvalid, during: "command.import", "which shop? Give --shop.")
        }
        let whole = archive
        let graph = try Graph(settings) { databases in
            [
                try ShopifyImportJob(
                    archive: whole,
                    accountID: feature.accountID,
                    country: feature.country,
                    shop: shop,
                    currency: currency,
                    zone: zone.flatMap { TimeZone(named: $0) },
                    target: databases.pool(feature.database)
                )
            ]
        }
        let record = try await CommandRuns.one(
            "shopify_import",
            of: graph,
            options: RunOptions(dryRun: dryRun),
            waitSeconds: waiting.wait,
            console: console
        )
        return RunReport.ended(record, console)
    }
}
