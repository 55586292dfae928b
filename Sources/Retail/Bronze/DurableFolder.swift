import Foundation
import Glibc
import Runtime

/// Folders that are still there after the machine lost its power.
package enum DurableFolder {
    /// Makes a folder with those above it; the folders that got a new one in them, outermost first, each of them made
    /// durable. Throws `.permissionDenied` when it cannot be made.
    @discardableResult
    package static func make(_ path: String) throws -> [String] {
        var grown: [String] = []
        let start = path.hasPrefix("/") ? path : FileManager.default.currentDirectoryPath + "/" + path
        var parts = start.split(separator: "/")
        while !parts.isEmpty, !FileManager.default.fileExists(atPath: "/" + parts.joined(separator: "/")) {
            parts.removeLast()
            grown.insert("/" + parts.joined(separator: "/"), at: 0)
        }
        do {
            try FileManager.default.createDirectory(
                atPath: path,
                withIntermediateDirectories: true,
                attributes: [.posixPermissions: 0o750]
            )
        } catch {
            throw TallyError(
                .permissionDenied,
                during: "retail.bronze",
                "a folder below BRONZE_DIR cannot be made",
                remedy: "Let BRONZE_DIR name a folder that the daemon may write.",
                cause: error
            )
        }
        for folder in grown { try sync(folder) }
        return grown
    }

    /// Makes the entries of a folder durable.
    static func sync(_ folder: String) throws {
        let descriptor = unsafe open(folder, O_RDONLY | O_DIRECTORY | O_CLOEXEC)
        guard descriptor >= 0 else { throw BronzeFolder.failure(errno, "open") }
        defer { close(descriptor) }
        guard fsync(descriptor) == 0 else { throw BronzeFolder.failure(errno, "fsync") }
    }
}
