import ArgumentParser
import Foundation
import Logging
import Retail
import Runtime

/// Builds the documentation of the warehouse's models.
struct DocsCommand: TallyCommand {
    static let configuration = CommandConfiguration(
        commandName: "docs",
        abstract: "Build the dbt documentation into DBT_DOCS_DIR; the daemon shows it at /docs/retail."
    )

    @OptionGroup var common: CommonOptions

    func execute(_ console: Console) async throws -> ExitStatus {
        let settings = try settings()
        guard let retail = settings.features.lazy.compactMap({ $0 as? RetailFeature }).first else {
            throw TallyError(
                .settingsInvalid,
                during: "command.docs",
                "the retail job is off, and only its warehouse has documentation",
                remedy: "Set RETAIL_DATABASE_URL and API_BASE_URL."
            )
        }
        let path = try await retail.documentation.build(logger: Logger(label: "docs"))
        console.line("built \(path)")
        console.answer(["success": true, "message": "built", "path": .string(path)])
        return .done
    }
}
