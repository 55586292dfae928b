import Foundation
import HTTPClient
import Synchronization

/// Faults a mock shows on request, and the bucket it throttles by.
package final class MockFaults: Sendable {
    package enum Fault: String, Sendable, CaseIterable {
        case busy, failure, html, truncated, unauthorized
        /// Amazon refuses the page token; elsewhere nothing happens.
        case pageToken

        func response(_ headers: [String: String]) -> OutboundResponse {
            switch self {
            case .busy: OutboundResponse(status: 429, headers: headers.merging(["Retry-After": "0"]) { $1 })
            case .failure: OutboundResponse(status: 503, headers: headers, body: Array("upstream".utf8))
            case .html: OutboundResponse(status: 200, headers: headers, body: Array("<html>502</html>".utf8))
            case .truncated: OutboundResponse(status: 200, headers: headers, body: Array("{\"data\":{\"ord".utf8))
            case .unauthorized: OutboundResponse(status: 401, headers: headers)
            case .pageToken: OutboundResponse(status: 503, headers: headers)
            }
        }
    }

    private struct State {
        var script: [Fault?]
        var level: Double
        var at: Date?
        var count = 0
    }
    private let state: Mutex<State>
    private let burst: Double
    private let perSecond: Double
    private let percent: Int

    /// `script`: what the next requests meet, nil for no fault; then so many of a hundred go wrong, one way after the
    /// other. Without `perSecond` nothing is throttled.
    package init(script: [Fault?] = [], percent: Int = 0, perSecond: Double = 1_000_000, burst: Double = 20_000) {
        state = Mutex(State(script: script, level: burst))
        self.perSecond = perSecond
        self.percent = percent
        self.burst = burst
    }

    func next() -> Fault? {
        state.withLock { state in
            if !state.script.isEmpty { return state.script.removeFirst() }
            state.count += 1
            guard state.count * percent / 100 > (state.count - 1) * percent / 100 else { return nil }
            return Fault.allCases[state.count * percent / 100 % Fault.allCases.count]
        }
    }

    private static func refill(_ state: inout State, _ now: Date, _ perSecond: Double, _ burst: Double) {
        let elapsed = max(0, now.timeIntervalSince(state.at ?? now))
        state.level = min(burst, state.level + elapsed * perSecond)
        state.at = now
    }

    /// The throttle status after the cost was taken, or nil when there was not enough.
    func spend(_ cost: Double, at now: Date) -> String? {
        let enough = state.withLock { state -> Bool in
            Self.refill(&state, Date(), perSecond, burst)
            guard state.level >= cost else { return false }
            state.level -= cost
            return true
        }
        return enough ? status(at: now) : nil
    }

    /// The rate of an operation's bucket after one call was taken from it; nil when it is empty.
    func spendOne(_ operation: String) -> Double? { spend(1, at: Date()) == nil ? nil : perSecond }

    func status(at now: Date) -> String {
        let level = state.withLock { $0.level }
        return """
            {"maximumAvailable":\(burst),"currentlyAvailable":\(level),"restoreRate":\(perSecond)}
            """
    }
}
