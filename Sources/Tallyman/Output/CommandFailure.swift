import Engine
import Runtime

/// An error as the command line tells it: words, JSON and exit status from one place.
struct CommandFailure {
    let status: ExitStatus
    let text: String
    let json: JSONValue

    init(_ error: any Error) {
        if let invalid = error as? SettingsInvalid {
            status = .usage
            let lines = invalid.problems.map { "  \($0.name) \($0.reason)" }
            text = "tallyman: the settings are not usable:\n" + lines.joined(separator: "\n")
            let problems = invalid.problems.map { problem -> JSONValue in
                ["variable": .string(problem.name), "reason": .string(problem.reason)]
            }
            json = [
                "success": false, "message": "the settings are not usable",
                "error": ["kind": "settings-invalid", "problems": .array(problems)],
            ]
            return
        }
        if let busy = error as? RunBusy {
            status = .busy
            let who =
                busy.running.map { "run \($0) of this job is going" } ?? "another run of this job is going"
            text = "tallyman: \(who); nothing was done"
            json = [
                "success": false, "message": .string(who),
                "error": ["kind": "busy", "runId": busy.running.map { .string($0.description) } ?? .null],
            ]
            return
        }
        let ours = TallyError.wrapping(error, during: "command")
        switch ours.kind {
        case .settingsInvalid, .requestInvalid: status = .usage
        case .busy: status = .busy
        default: status = .failed
        }
        text =
            "tallyman: \(ours.summary) (\(ours.kind.rawValue), \(ours.stage))" + (ours.remedy.map { "\n  \($0)" } ?? "")
        json = [
            "success": false, "message": .string(ours.summary),
            "error": [
                "kind": .string(ours.kind.rawValue), "stage": .string(ours.stage), "summary": .string(ours.summary),
                "remedy": ours.remedy.map { .string($0) } ?? .null,
            ],
        ]
    }
}
