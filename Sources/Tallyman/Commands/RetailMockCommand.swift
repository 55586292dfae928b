import API
import ArgumentParser
import Foundation
import HTTPServer
import Logging
import RetailMock
import Runtime
import ServiceLifecycle
import UnixSignals

struct RetailMockCommand: TallyCommand {
    static let configuration = CommandConfiguration(
        commandName: "retail-mock-api",
        abstract: "Serve a made-up shop's customers, products and sales, for trying the retail job.",
        discussion: """
            curl -H 'Authorization: sample' 'http://127.0.0.1:4010/sales?start_sales_id=1&limit=2'
            curl -X POST 'http://127.0.0.1:4010/faults?kind=slow&times=2&path=sales'
            """
    )

    @OptionGroup var common: CommonOptions
    @Option(name: .long, help: "Port on 127.0.0.1; 0 takes a free one.") var port = 4010
    @Option(name: .long, help: "The shop's history follows from it.") var seed: UInt64 = 1
    @Option(name: .long, help: "What Authorization must carry.") var key = "sample"
    @Option(name: .long, help: "Days ago that the shop opened.") var days = 7
    @Option(name: .long, help: "Seconds between two sales.") var secondsPerSale = 60.0

    func validate() throws {
        guard (0...65_535).contains(port) else { throw ValidationError("--port must be from 0 to 65535.") }
        guard (0...3_660).contains(days) else { throw ValidationError("--days must be from 0 to 3660.") }
        guard secondsPerSale >= 0.001 else { throw ValidationError("--seconds-per-sale must be 0.001 or more.") }
    }

    func execute(_ console: Console) async throws -> ExitStatus {
        var reader = try SettingsReader.process()
        let log = Settings.readLog(&reader)
        ProcessSetup.startLogging(log, level: log.level)
        // From the start of a day: restarted the same day, the shop tells the same story.
        let today = (Date().timeIntervalSince1970 / 86_400).rounded(.down) * 86_400
        let shop = SampleShop(
            seed: seed,
            opened: Date(timeIntervalSince1970: today - Double(days) * 86_400),
            secondsPerSale: secondsPerSale
        )
        let server = Server(
            configuration: HTTPServerConfiguration(host: "127.0.0.1", port: port),
            router: RetailMockAPI(shop: shop, key: Secret(key)).router,
            logger: Logger(label: "mock")
        )
        let group = ServiceGroup(
            services: [server],
            gracefulShutdownSignals: [.sigterm, .sigint],
            logger: Logger(label: "lifecycle")
        )
        try await group.run()
        console.answer(["success": true, "message": "stopped"])
        return .done
    }
}
