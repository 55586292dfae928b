import Foundation
import Runtime

/// A private folder with the dbt project of this binary and, unless the operator has one, a profile.
package struct DBTWorkspace: Sendable {
    private static let prefix = "/tallyman-dbt-"

    package let folder: String
    let profilesFolder: String

    package var project: String { folder + "/project" }
    package var target: String { folder + "/target" }

    /// Unpacks the project below `parent`, readable by this user alone.
    ///
    /// Throws `.settingsInvalid` when `profilesFolder` is given and has no `profiles.yml`.
    init(below parent: String, profilesFolder given: String?, profile: DBTProfile) throws {
        let files = FileManager.default
        Self.removeOld(below: parent)
        folder = parent + Self.prefix + UUID().uuidString.lowercased()
        let privately: [FileAttributeKey: Any] = [.posixPermissions: 0o700]
        try files.createDirectory(atPath: folder, withIntermediateDirectories: true, attributes: privately)
        if let given {
            guard files.fileExists(atPath: given + "/profiles.yml") else {
                throw TallyError(
                    .settingsInvalid,
                    during: "retail.gold",
                    "DBT_PROFILES_DIR has no profiles.yml",
                    remedy: "Put one there with the profile `retail`, or unset it: then one is written."
                )
            }
            profilesFolder = given
        } else {
            profilesFolder = folder + "/profiles"
            try files.createDirectory(atPath: profilesFolder, withIntermediateDirectories: true, attributes: privately)
            try Data(profile.yaml.utf8).write(to: URL(filePath: profilesFolder + "/profiles.yml"))
        }
        for file in DBTProject.files {
            let path = URL(filePath: project + "/" + file.path)
            try files.createDirectory(
                at: path.deletingLastPathComponent(),
                withIntermediateDirectories: true,
                attributes: privately
            )
            try Data(file.bytes).write(to: path)
        }
    }

    /// Folders of processes that were killed a day ago or longer: no gold stage takes that long.
    private static func removeOld(below parent: String) {
        let files = FileManager.default
        for name in (try? files.contentsOfDirectory(atPath: parent)) ?? [] where "/\(name)".hasPrefix(prefix) {
            let path = "\(parent)/\(name)"
            let made = try? files.attributesOfItem(atPath: path)[.modificationDate] as? Date
            if let made, made < Date(timeIntervalSinceNow: -86_400) { try? files.removeItem(atPath: path) }
        }
    }

    /// Removes all of it.
    package func remove() { try? FileManager.default.removeItem(atPath: folder) }
}
