import API
import Foundation
import Runtime

/// The overview as lines of a terminal: pure, so that every state of it has a test.
///
/// What comes from the daemon is shown as text: a control character in it, which could move the cursor or change
/// what the terminal does, becomes a dot.
struct TopFrame {
    let overview: JSONValue
    let now: Date
    var isColoured = false
    /// Rows and columns of the terminal; what does not fit is left out, and said. nil: no limit.
    var window: (rows: Int, columns: Int)?

    private enum Tone: String {
        case good = "32"
        case warning = "33"
        case bad = "31"
        case busy = "34"
        case faint = "2"
    }

    var lines: [String] {
        let all = [verdict] + further + ["", databases, scheduler] + running + [""] + table
        guard let window else { return all }
        // The cursor waits on a row of its own.
        let room = max(2, window.rows - 1)
        let shown = all.count <= room ? all : all.prefix(room - 1) + ["… \(all.count - room + 1) more lines"]
        return shown.map { Self.clipped($0, to: window.columns) }
    }

    /// The overview without what changes by itself: ages, and how often a run was heard of.
    static func news(_ overview: JSONValue) -> JSONValue {
        switch overview {
        case .object(let members):
            let volatile = ["timestamp", "lagSeconds", "heartbeatAt", "watchers", "nextFires"]
            return .object(members.filter { !volatile.contains($0.key) }.mapValues(news))
        case .array(let items): return .array(items.map(news))
        default: return overview
        }
    }

    /// The first `columns` characters of a line; what sets a colour takes no place.
    static func clipped(_ line: String, to columns: Int) -> String {
        var shown = ""
        var width = 0
        var isEscape = false
        for character in line {
            if character == "\u{1B}" { isEscape = true }
            if !isEscape {
                guard width < columns else { continue }
                width += 1
            }
            shown.append(character)
            if isEscape, character == "m" { isEscape = false }
        }
        return shown
    }

    private var verdict: String {
        let verdict = overview["verdict"]
        let sentence = Self.plain(verdict?["sentence"]?.string ?? "The daemon said nothing.")
        let (mark, tone): (String, Tone) =
            switch verdict?["level"]?.string {
            case "ok": ("✓", .good)
            case "warning": ("△", .warning)
            case "bad": ("✕", .bad)
            default: ("?", .faint)
            }
        var proof = ""
        if let at = verdict?["provedAt"]?.string, let by = verdict?["proof"]?.string {
            proof = toned("  proved by \(Self.plain(by)), \(age(at))", .faint)
        }
        return toned("\(mark) \(sentence)", tone) + proof
    }

    private var further: [String] {
        (overview["verdict"]?["further"]?.array ?? []).compactMap(\.string).map { "  \(Self.plain($0))" }
    }

    private var databases: String {
        let all = (overview["databases"]?.array ?? []).map { base -> String in
            let answers = base["answers"]?.bool == true
            return toned("\(answers ? "✓" : "✕") \(Self.plain(base["name"]?.string ?? "?"))", answers ? .good : .bad)
        }
        return "answering  " + all.joined(separator: "  ")
    }

    private var scheduler: String {
        guard let scheduler = overview["scheduler"], scheduler != .null else { return "scheduler  unknown" }
        let state = scheduler["enabled"]?.bool == true ? "on" : toned("off", .warning)
        let leader = scheduler["leader"]?.string.map { "led by \(Self.plain($0))" } ?? "led by nobody"
        return "scheduler  \(state), \(leader)"
    }

    private var running: [String] {
        (overview["jobs"]?.array ?? []).compactMap { job in
            guard let run = job["active"], run != .null else { return nil }
            let name = Self.plain(job["job"]?.string ?? "?")
            let dry = run["dryRun"]?.bool == true ? " (dry run)" : ""
            return toned("▶ \(name)\(dry)", .busy) + "  " + Self.progress(run["progress"] ?? .null)
        }
    }

    /// Stage, bar, counts, rate and time left, as far as they are known.
    static func progress(_ progress: JSONValue) -> String {
        var parts = [progress["waiting"]?.bool == true ? "waiting" : plain(progress["stage"]?.string ?? "")]
        let read = progress["read"]?.int ?? 0
        if let total = progress["total"]?.int, total > 0 {
            let full = min(ProgressLine.barWidth, read * ProgressLine.barWidth / total)
            parts.append(
                "[" + String(repeating: "█", count: full)
                    + String(repeating: "░", count: ProgressLine.barWidth - full) + "]"
            )
            parts.append("\(ProgressLine.grouped(read))/\(ProgressLine.grouped(total))")
        } else {
            parts.append(ProgressLine.grouped(read))
        }
        parts.append("written \(ProgressLine.grouped(progress["written"]?.int ?? 0))")
        if let rate = progress["rowsPerSecond"]?.number, rate >= 1 {
            parts.append("\(ProgressLine.grouped(Int(rate)))/s")
        }
        if let eta = progress["etaSeconds"]?.number, eta >= 1 { parts.append("ETA \(ProgressLine.duration(Int(eta)))") }
        return parts.joined(separator: "  ")
    }

    private var table: [String] {
        let head = ["JOB", "STATE", "PROVED", "NEXT", "DRIFT", "LAG", "DEAD"]
        let rows = (overview["jobs"]?.array ?? []).map(row)
        let widths = head.indices.map { column in ([head] + rows.map(\.cells)).map { $0[column].count }.max() ?? 0 }
        func line(_ cells: [String]) -> String {
            zip(cells, widths).map { $0 + String(repeating: " ", count: $1 - $0.count) }.joined(separator: "  ")
        }
        return [toned(line(head), .faint)] + rows.map { toned(line($0.cells), $0.tone) }
    }

    private func row(_ job: JSONValue) -> (cells: [String], tone: Tone?) {
        let active = job["active"]?["state"]?.string
        let state = Self.plain(active ?? job["lastRun"]?["state"]?.string ?? "-")
        // Without the ledger nothing is known of runs, which is not to say that there are none.
        let isUnread = overview["scheduler"].map { $0 == .null } ?? true
        let drift = ["missing", "stale", "orphaned"].map { job["drift"]?[$0]?.int ?? 0 }
        let isCompared = job["drift"]?.object != nil
        let letters = job["openDeadLetters"]?.int
        let next: String =
            if job["isPaused"]?.bool == true { "paused" } else { job["nextFire"]?.string.map(until) ?? "-" }
        let cells = [
            Self.plain(job["job"]?.string ?? "?"), state,
            job["lastProved"]?["finishedAt"]?.string.map(age) ?? (isUnread ? "?" : "never"),
            next, isCompared ? drift.map(ProgressLine.grouped).joined(separator: "/") : "-",
            job["lagSeconds"]?.int.map(ProgressLine.duration) ?? "-", letters.map(ProgressLine.grouped) ?? "?",
        ]
        if active != nil { return (cells, .busy) }
        if state == "failed" || state == "interrupted" { return (cells, .bad) }
        if drift.reduce(0, +) > 0 || (letters ?? 0) > 0 || job["isOverdue"]?.bool == true { return (cells, .warning) }
        return (cells, nil)
    }

    private func age(_ text: String) -> String {
        guard let date = Timestamp.parse(text) else { return "?" }
        return "\(ProgressLine.duration(Int(max(0, now.timeIntervalSince(date))))) ago"
    }

    private func until(_ text: String) -> String {
        guard let date = Timestamp.parse(text) else { return "?" }
        return "in \(ProgressLine.duration(Int(max(0, date.timeIntervalSince(now)))))"
    }

    private func toned(_ text: String, _ tone: Tone?) -> String {
        guard isColoured, let tone else { return text }
        return "\u{1B}[\(tone.rawValue)m\(text)\u{1B}[0m"
    }

    /// Without control characters and direction marks.
    static func plain(_ text: String) -> String {
        String(
            String.UnicodeScalarView(
                text.unicodeScalars.map { scalar in
                    switch scalar.properties.generalCategory {
                    case .control, .format, .lineSeparator, .paragraphSeparator: "·"
                    default: scalar
                    }
                }
            )
        )
    }
}

extension JSONValue {
    fileprivate var number: Double? {
        switch self {
        case .int(let value): Double(value)
        case .double(let value): value
        default: nil
        }
    }
}
