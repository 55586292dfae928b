package import Foundation
package import Logging
import Synchronization

/// The newest log lines of the newest runs, in memory: what the console shows beside a run.
///
/// It holds what a log line may hold and nothing else: no secret and no row value. Lines and runs have a ceiling
/// (INV-8); another process's lines are in that process.
package final class RunLog: Sendable {
    package struct Line: Sendable, Equatable {
        package let at: Date
        package let level: Logger.Level
        package let message: String
        package let keys: [String: String]
    }

    /// The lines of one run, oldest first, and how many older ones were let go.
    package struct Page: Sendable, Equatable {
        package internal(set) var lines: [Line] = []
        package internal(set) var dropped = 0
    }

    package static let shared = RunLog()
    package static let linesMax = 200
    package static let runsMax = 100
    static let textMax = 500

    private struct State {
        var pages: [String: Page] = [:]
        /// Runs in the order of their first line.
        var order: [String] = []
    }

    private let state = Mutex(State())

    package init() {}

    /// Keeps a line of a run.
    package func record(_ line: Line, run: String) {
        state.withLock { state in
            if state.pages[run] == nil {
                state.order.append(run)
                if state.order.count > Self.runsMax { state.pages[state.order.removeFirst()] = nil }
            }
            var page = state.pages.removeValue(forKey: run) ?? Page()
            page.lines.append(line)
            if page.lines.count > Self.linesMax {
                page.lines.removeFirst()
                page.dropped += 1
            }
            state.pages[run] = page
        }
    }

    /// What is kept of a run; empty for one that said nothing here.
    package func page(of run: String) -> Page { state.withLock { $0.pages[run] } ?? Page() }
}

/// Passes log lines on, and keeps those that carry a run's id, from debug upwards whatever is printed.
package struct RunLogHandler<Base: LogHandler>: LogHandler {
    private var base: Base
    private let kept: RunLog

    package init(_ base: Base, keeping kept: RunLog = .shared) {
        self.base = base
        self.kept = kept
    }

    package var logLevel: Logger.Level {
        get { min(base.logLevel, .debug) }
        set { base.logLevel = newValue }
    }
    package var metadata: Logger.Metadata {
        get { base.metadata }
        set { base.metadata = newValue }
    }
    package var metadataProvider: Logger.MetadataProvider? {
        get { base.metadataProvider }
        set { base.metadataProvider = newValue }
    }

    package subscript(metadataKey key: String) -> Logger.Metadata.Value? {
        get { base[metadataKey: key] }
        set { base[metadataKey: key] = newValue }
    }

    package func log(event: LogEvent) {
        if event.level >= base.logLevel { base.log(event: event) }
        let all = metadata.merging(event.metadata ?? [:], uniquingKeysWith: { $1 })
        guard let run = all[LogKey.runID.rawValue]?.description else { return }
        var keys: [String: String] = [:]
        for (key, value) in all where key != LogKey.runID.rawValue {
            keys[key] = String(value.description.prefix(RunLog.textMax))
        }
        let message = String(event.message.description.prefix(RunLog.textMax))
        kept.record(RunLog.Line(at: Date(), level: event.level, message: message, keys: keys), run: run)
    }
}
