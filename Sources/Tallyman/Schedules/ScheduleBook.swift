import ConfigFile
import Cron
import Engine
import Foundation
import Runtime

/// All schedules: what features bring, what `jobs.yaml` says, and the environment on top.
struct ScheduleBook: Sendable {
    /// What features bring, in the zone of `TIMEZONE` unless they have one of their own.
    let standard: [ScheduleDefinition]
    /// Jobs whose expression an environment variable gave: the file does not change it.
    let pinned: Set<JobName>
    let zone: TimeZone
    /// `TIMEZONE` was given: the file's own zone for all jobs is not used.
    let zoneIsPinned: Bool
    let jobs: [JobName: Set<RunOptionName>]
    let folder: String
    /// Jobs whose zone is their feature's own: only an entry of theirs in the file changes it.
    var zoned: Set<JobName> = []

    /// The schedules as they are to be now; reads the file again each time.
    ///
    /// - Throws: `.settingsInvalid` with file and line; nothing has changed then.
    func schedules() throws -> [ScheduleDefinition] {
        let file = try JobsFile.read(folder: folder, jobs: jobs)
        var result = standard
        if let zone = file.timeZone, !zoneIsPinned {
            for index in result.indices where !zoned.contains(result[index].job) { result[index].timeZone = zone }
        }
        for entry in file.entries {
            let position = result.firstIndex { $0.job == entry.job }
            guard entry.isEnabled else {
                if let position { result.remove(at: position) }
                continue
            }
            if let position {
                result[position] = applied(entry, to: result[position])
            } else {
                result.append(try added(entry, zone: zoneIsPinned ? zone : file.timeZone ?? zone))
            }
        }
        return result
    }

    private func applied(_ entry: JobsFile.Entry, to standard: ScheduleDefinition) -> ScheduleDefinition {
        var result = standard
        if let cron = entry.cron, !pinned.contains(entry.job) { result.expression = cron }
        if let zone = entry.timeZone { result.timeZone = zone }
        if let overlap = entry.overlap { result.overlap = overlap }
        if let misfire = entry.misfire { result.misfire = misfire }
        if let limit = entry.misfireLimit { result.misfireLimit = limit }
        if let window = entry.misfireWindow { result.misfireWindow = TimeInterval(window) }
        if let jitter = entry.jitter { result.jitter = TimeInterval(jitter) }
        if let options = entry.options { result.options = options }
        if let resumes = entry.resumes { result.resumes = resumes }
        return result
    }

    /// A job without a schedule of its own gets one.
    private func added(_ entry: JobsFile.Entry, zone: TimeZone) throws -> ScheduleDefinition {
        guard let cron = entry.cron else {
            throw TallyError(
                .settingsInvalid,
                during: "jobs.file",
                "\(entry.place): job \"\(entry.job)\" has no schedule of its own, so \"cron\" is needed"
            )
        }
        let base = ScheduleDefinition(job: entry.job, expression: cron, timeZone: zone)
        return applied(entry, to: base)
    }
}

extension ScheduleBook {
    /// What differs between two sets of schedules, one line a job.
    static func changes(from old: [ScheduleDefinition], to new: [ScheduleDefinition]) -> [String] {
        let before = Dictionary(old.map { ($0.job, $0) }, uniquingKeysWith: { first, _ in first })
        let after = Dictionary(new.map { ($0.job, $0) }, uniquingKeysWith: { first, _ in first })
        let names = Set(before.keys).union(after.keys).sorted { $0.rawValue < $1.rawValue }
        return names.compactMap { job in
            switch (before[job], after[job]) {
            case (nil, let added?): "\(job): scheduled, \(added.expressionText) (\(added.timeZone.name))"
            case (_?, nil): "\(job): no longer scheduled"
            case (let was?, let now?): was.says == now.says && was.options == now.options ? nil : "\(job): \(now.says)"
            case (nil, nil): nil
            }
        }
    }
}

extension ScheduleDefinition {
    /// All of it in one line, options by their names only.
    fileprivate var says: String {
        let names = options.given.map(\.rawValue).sorted().joined(separator: " ")
        return "\(expressionText) (\(timeZone.name)), overlap \(overlap.rawValue), misfire \(misfire.rawValue) "
            + "limit \(misfireLimit) window \(Int(misfireWindow)) s, jitter \(Int(jitter)) s, "
            + "resume \(resumes), options [\(names)]"
    }
}
