import Foundation
import HTTPClient
import Runtime

enum VendorAnswer {
    /// Nothing for a 2xx. Throws `.serverBusy` (with Retry-After) for 429 and 5xx, `.permissionDenied` for the rest:
    /// those do not get better by trying again.
    static func check(_ answer: OutboundResponse, of who: String) throws {
        switch answer.status {
        case 200..<300: return
        case 408, 429, 500...599:
            throw TallyError(
                .serverBusy,
                during: "alerts.deliver",
                "\(who) answered \(answer.status)",
                retryAfter: answer.retryAfter(now: Date())
            )
        default:
            throw TallyError(
                .permissionDenied,
                during: "alerts.deliver",
                "\(who) answered \(answer.status)",
                remedy: "Check the URL and the credential of this alert channel."
            )
        }
    }
}
