import API
import ArgumentParser
import Runtime

struct DoctorCommand: TallyCommand {
    static let configuration = CommandConfiguration(
        commandName: "doctor",
        abstract: "Check settings, connections, privileges and the target's schema."
    )

    @OptionGroup var common: CommonOptions

    func execute(_ console: Console) async throws -> ExitStatus {
        // Invalid settings end here with exit status 2 and all of them by name: nothing else can be checked then.
        let graph = try Graph(try settings())
        let (findings, grants) = try await graph.closing { graph in
            var grants: [String] = []
            for feature in graph.features { grants += await feature.grants() }
            return (await Doctor(graph: graph).examine(), grants)
        }
        let failures = findings.filter { $0.verdict == .bad }.count
        console.answer([
            "success": .bool(failures == 0),
            "checks": .array(findings.map(\.json)), "grants": .array(grants.map { .string($0) }),
        ])
        for finding in findings {
            console.line("\(finding.verdict.mark) \(finding.check): \(finding.detail)")
            if let remedy = finding.remedy { console.line("      \(remedy)") }
        }
        console.line("\nPrivileges that the features need:")
        for grant in grants { console.line("  \(grant)") }
        console.line("\n\(Doctor.summary(findings))")
        return failures == 0 ? .done : .failed
    }
}
