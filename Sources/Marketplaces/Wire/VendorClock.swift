package import Foundation
package import HTTPClient
import Synchronization

/// How far our clock is ahead of a vendor's, learnt from the `Date` of its answers.
///
/// An answer is made after its request was sent. So what lies between the two by which ours is later, less the second
/// that `Date` leaves out, is a difference of clocks: a slow network never looks like one.
package final class VendorClock: Sendable {
    private let known = Mutex<TimeInterval>(0)
    /// Our own clock.
    package let now: @Sendable () -> Date

    package init(now: @escaping @Sendable () -> Date = { Date() }) {
        self.now = now
    }

    /// Seconds that our clock is ahead at the least; 0 until an answer has shown otherwise, and when it is behind.
    package var aheadBy: TimeInterval { known.withLock { $0 } }

    /// Sends, and looks at the date of what comes back.
    package func timing(_ send: () async throws -> OutboundResponse) async throws -> OutboundResponse {
        let sent = now()
        let response = try await send()
        if let date = response.date {
            let ahead = sent.timeIntervalSince(date) - 1
            known.withLock { $0 = max($0, ahead) }
        }
        return response
    }
}
