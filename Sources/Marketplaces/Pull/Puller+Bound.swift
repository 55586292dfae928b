import Engine
import Foundation
import Logging
import Runtime
import Telemetry

/// Our clock is ahead of the vendor's: the window that was frozen by it ends where the vendor's data has not come to.
struct ClockAhead: Error {}

extension Puller {
    /// The newest instant that may be read, by the vendor's clock as far as it is known.
    private var newest: Date { now.addingTimeInterval(-source.aheadOfVendor - source.lag.inSeconds) }

    /// The upper bound of a pull: what was asked for, and never what the vendor's clock has not come to.
    func bound(_ until: Date?) -> Date {
        let newest = newest.toSecond
        return min(until?.toSecond ?? newest, newest)
    }

    /// Whether an answer has shown that the window ends too late. Some of the lag is slack for small differences.
    func isTooYoung(_ window: PullWindow) -> Bool {
        window.until > newest.addingTimeInterval(min(10, source.lag.inSeconds / 2))
    }

    /// Reads up to the bound, which is frozen again when the first answers tell of the vendor's clock.
    func read(_ state: inout PullState, since: Date?, until: Date?) async throws {
        for _ in 0..<4 {
            let end = bound(until)
            state.result.until = end
            do {
                let begin = if let since { since as Date? } else { try await start(state, end) }
                return try await read(windows(from: begin, to: end, state.plan), &state, moves: since)
            } catch is ClockAhead {
                context.logger.event(
                    .warning,
                    "this machine's clock is ahead of the vendor's, whose clock is used",
                    [.key: scope.scope, .delayMS: "\(Int(source.aheadOfVendor * 1_000))"]
                )
            }
        }
        throw TallyError(
            .protocolViolation,
            during: "marketplace.page",
            "the vendor's clock does not keep time",
            remedy: "Check this machine's clock."
        )
    }
}
