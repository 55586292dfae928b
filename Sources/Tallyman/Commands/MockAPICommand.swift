import ArgumentParser
import HTTPServer
import Logging
import Runtime
import ServiceLifecycle
import UnixSignals

/// Serves sample source APIs on loopback, for demos and trials.
struct MockAPICommand: TallyCommand {
    static let configuration = CommandConfiguration(
        commandName: "mock-api",
        abstract: "Serve a made-up source API on 127.0.0.1, for trying a job.",
        discussion: """
            tallyman mock-api --retail
            curl -H 'Authorization: sample' 'http://127.0.0.1:4010/sales?start_sales_id=1&limit=2'
            curl -X POST 'http://127.0.0.1:4010/faults?kind=slow&times=2&path=sales'
            tallyman mock-api --marketplaces
            SHOPIFY_SHOP=tally-demo SHOPIFY_ACCESS_TOKEN=any SHOPIFY_API_URL=http://127.0.0.1:4020 tallyman run shopify
            """
    )

    @OptionGroup var common: CommonOptions
    @Flag(name: .long, help: "The retail source: customers, products and sales, on port 4010.") var retail = false
    @OptionGroup var retailShop: RetailMockOptions
    @Flag(name: .long, help: "Shopify's and Amazon's APIs, on port 4020.") var marketplaces = false
    @OptionGroup var marketplaceShop: MarketplaceMockOptions
    @Option(name: .long, help: "Another port; 0 takes a free one.") var port: Int?

    func validate() throws {
        guard retail != marketplaces else { throw ValidationError("Say which one: --retail or --marketplaces.") }
        guard (0...65_535).contains(port ?? 0) else { throw ValidationError("--port must be from 0 to 65535.") }
    }

    func execute(_ console: Console) async throws -> ExitStatus {
        var reader = try SettingsReader.process()
        let log = Settings.readLog(&reader)
        ProcessSetup.startLogging(log, level: log.level)
        if retail {
            try await serve(retailShop.router, port: port ?? RetailMockOptions.port, console)
        } else {
            let port = port ?? MarketplaceMockOptions.port
            try await serve(marketplaceShop.router(port: port), port: port, console)
        }
        return .done
    }

    /// Serves until a signal comes; where, stands on standard error.
    private func serve(_ router: Router, port: Int, _ console: Console) async throws {
        let server = Server(
            configuration: HTTPServerConfiguration(host: "127.0.0.1", port: port),
            router: router,
            logger: Logger(label: "mock")
        )
        let told = UntilShutdown { console.note("serving on http://127.0.0.1:\(await server.boundPort)") }
        let configuration = ServiceGroupConfiguration(
            services: [.init(service: server), .init(service: told, successTerminationBehavior: .ignore)],
            gracefulShutdownSignals: [.sigterm, .sigint],
            logger: Logger(label: "lifecycle")
        )
        try await ServiceGroup(configuration: configuration).run()
        console.answer(["success": true, "message": "stopped"])
    }
}
