import Foundation

/// The server's side of SCRAM-SHA-256 (RFC 5802, RFC 7677) for one user.
struct ScramServer: Sendable {
    static let iterations = 4096
    let user: String
    private let salt: [UInt8]
    private let storedKey: [UInt8]
    private let serverKey: [UInt8]

    init(user: String, password: String) {
        self.user = user
        // 28 bytes, as the real server: libmongoc refuses any other length.
        salt = (0..<28).map { _ in UInt8.random(in: .min ... .max) }
        let salted = SHA256.stretch(Array(password.utf8), salt: salt, iterations: Self.iterations)
        storedKey = SHA256.hash(SHA256.authenticate(Array("Client Key".utf8), key: salted))
        serverKey = SHA256.authenticate(Array("Server Key".utf8), key: salted)
    }

    /// What is remembered between the two messages of a client.
    struct Conversation {
        fileprivate let isKnownUser: Bool
        fileprivate let clientFirst: String
        fileprivate let serverFirst: String
        fileprivate let nonce: String
        /// Set when the client asked to skip the last, empty exchange.
        var skipsEmptyExchange = false
        var isProven = false
    }

    func begin(_ payload: [UInt8]) -> (conversation: Conversation, answer: [UInt8])? {
        let message = String(decoding: payload, as: UTF8.self)
        guard message.hasPrefix("n,,") else { return nil }
        let bare = String(message.dropFirst(3))
        let fields = Self.fields(bare)
        guard let name = fields["n"], let clientNonce = fields["r"] else { return nil }
        let nonce = clientNonce + Data((0..<18).map { _ in UInt8.random(in: .min ... .max) }).base64EncodedString()
        let first = "r=\(nonce),s=\(Data(salt).base64EncodedString()),i=\(Self.iterations)"
        let plain = name.replacingOccurrences(of: "=2C", with: ",").replacingOccurrences(of: "=3D", with: "=")
        let conversation = Conversation(
            isKnownUser: plain == user,
            clientFirst: bare,
            serverFirst: first,
            nonce: nonce
        )
        return (conversation, Array(first.utf8))
    }

    /// The server's signature, or nil when the proof does not hold.
    func finish(_ conversation: Conversation, _ payload: [UInt8]) -> [UInt8]? {
        let message = String(decoding: payload, as: UTF8.self)
        let fields = Self.fields(message)
        guard conversation.isKnownUser, fields["r"] == conversation.nonce, fields["c"] == "biws",
            let proof = fields["p"].flatMap({ Data(base64Encoded: $0) }), proof.count == 32,
            let end = message.range(of: ",p=")
        else { return nil }
        let text = [conversation.clientFirst, conversation.serverFirst, String(message[..<end.lowerBound])]
            .joined(separator: ",")
        let signature = SHA256.authenticate(Array(text.utf8), key: storedKey)
        let clientKey = zip(proof, signature).map { $0 ^ $1 }
        guard SHA256.hash(clientKey) == storedKey else { return nil }
        let answer = SHA256.authenticate(Array(text.utf8), key: serverKey)
        return Array("v=\(Data(answer).base64EncodedString())".utf8)
    }

    private static func fields(_ message: String) -> [Substring: String] {
        var fields: [Substring: String] = [:]
        for part in message.split(separator: ",") {
            guard let equals = part.firstIndex(of: "=") else { continue }
            fields[part[..<equals]] = String(part[part.index(after: equals)...])
        }
        return fields
    }
}
