import HTTPClient
import Runtime

/// What an HTTP status of a vendor means for the run.
enum VendorAnswer {
    /// nil for a success. The vendor's own text is never shown: it may hold anything.
    static func failure(_ response: OutboundResponse, vendor: String, remedy: (Int) -> String) -> TallyError? {
        let kind: TallyError.Kind
        switch response.status {
        case 200..<300: return nil
        case 401: kind = .credentialsRejected
        case 402, 403, 423: kind = .permissionDenied
        case 404: kind = .notFound
        case 408, 429, 500...599: kind = .serverBusy
        default: kind = .protocolViolation
        }
        return TallyError(
            kind,
            during: "marketplace.answer",
            "\(vendor) answers with status \(response.status)",
            remedy: kind == .serverBusy ? nil : remedy(response.status)
        )
    }
}
