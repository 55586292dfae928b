import Foundation
import HTTPClient
import Marketplaces

/// The mock, with the lines of each bulk result changed on their way.
final class SpoilingTransport: HTTPTransport {
    private let mock: MockShopify
    private let spoil: @Sendable (inout [String]) throws -> Void

    init(_ mock: MockShopify, _ spoil: @escaping @Sendable (inout [String]) throws -> Void) {
        self.mock = mock
        self.spoil = spoil
    }

    func send(_ request: OutboundRequest, limits: ExchangeLimits) async throws -> OutboundResponse {
        try await mock.send(request, limits: limits)
    }

    func download(_ request: OutboundRequest, to file: URL, limits: ExchangeLimits) async throws -> OutboundResponse {
        let response = try await mock.download(request, to: file, limits: limits)
        var lines = try String(contentsOf: file, encoding: .utf8).components(separatedBy: "\n")
        try spoil(&lines)
        try Data(lines.joined(separator: "\n").utf8).write(to: file)
        return response
    }
}
