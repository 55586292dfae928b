import Engine
import Foundation

/// A run's progress as one line: a bar on a terminal, plain words elsewhere.
struct ProgressLine {
    static let barWidth = 24
    private var last: String?

    static func text(_ snapshot: ProgressSnapshot, bar: Bool) -> String {
        var parts: [String] = []
        let done = snapshot.read
        if let total = snapshot.total, total > 0 {
            let share = min(1, Double(done) / Double(total))
            if bar {
                let full = Int((share * Double(barWidth)).rounded())
                parts.append(
                    "[" + String(repeating: "█", count: full) + String(repeating: "░", count: barWidth - full) + "]"
                )
            }
            parts.append("\(Int(share * 100))%")
            parts.append("\(grouped(done))/\(grouped(total))")
        } else {
            parts.append(grouped(done))
        }
        parts.insert(snapshot.stage, at: 0)
        parts.append("written \(grouped(snapshot.written))")
        if snapshot.rowsPerSecond > 0 { parts.append("\(grouped(Int(snapshot.rowsPerSecond)))/s") }
        if let eta = snapshot.etaSeconds, eta >= 1 { parts.append("ETA \(duration(Int(eta)))") }
        return parts.joined(separator: "  ")
    }

    /// The text to write for this snapshot, nil when nothing changed.
    mutating func update(_ snapshot: ProgressSnapshot, terminal: Bool) -> String? {
        let line = Self.text(snapshot, bar: terminal)
        guard line != last else { return nil }
        last = line
        return terminal ? "\r\u{1B}[K\(line)" : "\(line)\n"
    }

    static func grouped(_ number: Int) -> String {
        let digits = String(abs(number))
        var out = ""
        for (index, digit) in digits.enumerated() {
            if index > 0, (digits.count - index) % 3 == 0 { out.append(",") }
            out.append(digit)
        }
        return number < 0 ? "-\(out)" : out
    }

    static func duration(_ seconds: Int) -> String {
        switch seconds {
        case ..<60: "\(seconds)s"
        case ..<3600: "\(seconds / 60)m \(seconds % 60)s"
        default: "\(seconds / 3600)h \(seconds % 3600 / 60)m"
        }
    }
}
