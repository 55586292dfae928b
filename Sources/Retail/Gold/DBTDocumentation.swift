import Foundation
package import Logging
import Runtime
import Telemetry

/// The dbt project's documentation as one HTML file that loads nothing: models, columns, tests, lineage.
package struct DBTDocumentation: Sendable {
    /// How to have dbt, in the versions that the project is tested with.
    package static let installation =
        "python3 -m venv /opt/dbt && /opt/dbt/bin/pip install dbt-core==1.10.23 dbt-postgres==1.10.2, "
        + "then DBT_EXECUTABLE=/opt/dbt/bin/dbt. Bronze and silver need no dbt."
    /// Larger ones are not shown.
    private static let bytesMax = 64 << 20

    private let settings: GoldSettings
    private let folder: String

    /// - Parameter folder: where `index.html` is put.
    package init(settings: GoldSettings, folder: String) {
        self.settings = settings
        self.folder = folder
    }

    private var place: String { folder + "/index.html" }

    /// Asks dbt for it, which reads the warehouse's catalog, and puts it into place, whole; its path.
    ///
    /// Throws `.settingsInvalid` when dbt is not there, `.proofFailed` when it ended well without a page,
    /// `.permissionDenied` when the folder may not be written.
    package func build(logger: Logger) async throws -> String {
        let process = try DBTProcess(settings)
        defer { process.workspace.remove() }
        let ended = try await process.run(["docs", "generate", "--static"]) { line in
            guard line.level == "error" || line.level == "warn" else { return }
            logger.event(line.level == "error" ? .error : .warning, "dbt", [.stage: "docs", .kind: line.event])
        }
        guard ended.code == 0 else {
            throw TallyError(
                .unknown,
                during: "retail.docs",
                "dbt ended with \(ended.code.map { "status \($0)" } ?? "a signal")",
                remedy: "Run with --verbose; the warehouse must answer and have the tables of silver.",
                detail: ended.complaint
            )
        }
        let made = process.workspace.target + "/static_index.html"
        guard let page = FileManager.default.contents(atPath: made), !page.isEmpty else {
            throw TallyError(.proofFailed, during: "retail.docs", "dbt ended well, but made no page")
        }
        return try put(page)
    }

    private func put(_ page: Data) throws -> String {
        do {
            try FileManager.default.createDirectory(atPath: folder, withIntermediateDirectories: true)
            try page.write(to: URL(filePath: place), options: .atomic)
        } catch {
            throw TallyError(
                .permissionDenied,
                during: "retail.docs",
                "the page cannot be written",
                remedy: "Let DBT_DOCS_DIR name a folder that may be written.",
                cause: error
            )
        }
        return place
    }

    /// The page; nil while it was never built.
    package func page() -> [UInt8]? {
        let size = try? FileManager.default.attributesOfItem(atPath: place)[.size] as? Int
        guard let size, size <= Self.bytesMax else { return nil }
        return FileManager.default.contents(atPath: place).map { [UInt8]($0) }
    }
}
