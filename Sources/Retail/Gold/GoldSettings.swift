package import Runtime

/// What the gold stage is told.
package struct GoldSettings: Sendable {
    /// A path, or a name looked up on `PATH`.
    package var executable: String
    /// A folder of the operator's own with a `profiles.yml` that has the profile `retail`; nil has one written.
    package var profilesFolder: String?
    package var database: Secret<String>
    /// Names of variables that dbt must not inherit: those that hold our own settings.
    package var hiddenVariables: [String]

    package init(
        executable: String = "dbt",
        profilesFolder: String? = nil,
        database: Secret<String>,
        hiddenVariables: [String] = []
    ) {
        self.executable = executable
        self.profilesFolder = profilesFolder
        self.database = database
        self.hiddenVariables = hiddenVariables
    }
}
