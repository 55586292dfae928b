import API
import ConfigFile
import Cron
import Engine
import Foundation
import Runtime
import Yams

/// `jobs.yaml` of the configuration folder: when jobs are due and by which policies, as operators want it.
///
/// Read whole or not at all: an unknown key, an unknown job or a wrong value is an error with file and line, and
/// whatever ran before goes on.
struct JobsFile {
    static let name = "jobs.yaml"

    /// One job's part of the file; nil means "as it is without the file".
    struct Entry {
        let job: JobName
        let place: FilePlace
        var cron: CronExpression?
        var timeZone: TimeZone?
        var overlap: OverlapPolicy?
        var misfire: MisfirePolicy?
        var misfireLimit: Int?
        var misfireWindow: Int?
        var jitter: Int?
        var isEnabled = true
        var resumes: Bool?
        var options: RunOptions?
    }

    let timeZone: TimeZone?
    let entries: [Entry]

    static let none = JobsFile(timeZone: nil, entries: [])

    /// The file in `folder`; one that is not there says nothing.
    ///
    /// - Throws: `.settingsInvalid` with file and line.
    static func read(folder: String, jobs: [JobName: Set<RunOptionName>]) throws -> JobsFile {
        let path = folder + "/" + name
        guard FileManager.default.fileExists(atPath: path) else { return .none }
        guard let text = try? String(contentsOfFile: path, encoding: .utf8) else {
            throw TallyError(.settingsInvalid, during: "jobs.file", "\(path) cannot be read as UTF-8 text")
        }
        return try JobsFileReader(path: path, jobs: jobs).read(text)
    }
}

/// Walks the nodes of the file.
private struct JobsFileReader {
    private static let keys = [
        "cron", "timezone", "overlap", "misfire", "misfireLimit", "misfireWindow", "jitter", "enabled", "resume",
        "options",
    ]
    private static let day = 86_400

    private let walk: YAMLWalk
    private let jobs: [JobName: Set<RunOptionName>]

    init(path: String, jobs: [JobName: Set<RunOptionName>]) {
        walk = YAMLWalk(file: path, during: "jobs.file")
        self.jobs = jobs
    }

    func read(_ text: String) throws -> JobsFile {
        guard let root = try walk.root(text), !walk.isNull(root) else { return .none }
        let top = try walk.members(root, allowed: ["timezone", "jobs"])
        let entries = try top["jobs"].map { node in
            walk.isNull(node) ? [] : try walk.pairs(node).map { try entry($0.key, $0.value) }
        }
        return JobsFile(timeZone: try top["timezone"].map(zone), entries: entries ?? [])
    }

    private func entry(_ name: Placed, _ node: Node) throws -> JobsFile.Entry {
        guard let (job, known) = jobs.first(where: { $0.key.rawValue == name.text }) else {
            let names = jobs.keys.map(\.rawValue).sorted().joined(separator: ", ")
            throw walk.error(
                name.place,
                "unknown job \"\(name.text)\"; known: \(names) (a feature whose settings are absent has none)"
            )
        }
        var entry = JobsFile.Entry(job: job, place: name.place)
        let parts = try walk.members(node, allowed: Self.keys)
        entry.cron = try parts["cron"].map(cron)
        entry.timeZone = try parts["timezone"].map(zone)
        entry.overlap = try parts["overlap"].map { try walk.choice($0, "overlap") }
        entry.misfire = try parts["misfire"].map { try walk.choice($0, "misfire") }
        entry.misfireLimit = try parts["misfireLimit"].map { try walk.int($0, "misfireLimit", in: 1...1_000) }
        entry.misfireWindow = try parts["misfireWindow"].map {
            try walk.span($0, "misfireWindow", upTo: 366 * Self.day)
        }
        entry.jitter = try parts["jitter"].map { try walk.span($0, "jitter", upTo: Self.day) }
        entry.isEnabled = try parts["enabled"].map { try walk.bool($0, "enabled") } ?? true
        entry.resumes = try parts["resume"].map { try walk.bool($0, "resume") }
        entry.options = try parts["options"].map { try options($0, known: known) }
        return entry
    }

    private func cron(_ node: Node) throws -> CronExpression {
        let text = try walk.text(node, "cron")
        do {
            return try CronExpression(text)
        } catch {
            throw walk.error(node, "cron: \(error)")
        }
    }

    private func zone(_ node: Node) throws -> TimeZone {
        guard let zone = TimeZone(named: try walk.text(node, "timezone")) else {
            throw walk.error(node, "timezone must be an IANA time zone such as Europe/Berlin")
        }
        return zone
    }

    /// The same names and rules as the body of a request that starts a run.
    private func options(_ node: Node, known: Set<RunOptionName>) throws -> RunOptions {
        var members: [String: JSONValue] = [:]
        for (key, value) in try walk.pairs(node) {
            let json: JSONValue
            if let bool = value.bool {
                json = .bool(bool)
            } else if let int = value.int {
                json = .int(int)
            } else {
                json = .string(try walk.text(value, key.text))
            }
            members[key.text] = json
            do {
                _ = try RunOptionsBody.read([key.text: json], known: known)
            } catch let problem as Problem {
                throw walk.error(key.place, problem.detail)
            }
        }
        return try RunOptionsBody.read(members, known: known)
    }
}
