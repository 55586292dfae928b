import Crypto
import Foundation
package import Runtime

/// The key of the tokens and its version, which every token carries.
package struct TokenKey: Sendable {
    package let version: Int
    /// Keyed once; each code begins with a copy of it.
    private let keyed: HMAC<SHA256>

    /// `secret` is the setting's text; its UTF-8 bytes are the key.
    package init(version: Int, secret: Secret<String>) {
        self.version = version
        keyed = secret.expose { HMAC<SHA256>(key: SymmetricKey(data: Data($0.utf8))) }
    }

    /// Lower-case hex of HMAC-SHA-256 (RFC 2104) over the bytes.
    func code(_ bytes: [UInt8]) -> [UInt8] {
        var code = keyed
        code.update(data: bytes)
        var hex: [UInt8] = []
        hex.reserveCapacity(64)
        for byte in code.finalize() {
            hex.append(Tokeniser.digits[Int(byte >> 4)])
            hex.append(Tokeniser.digits[Int(byte & 15)])
        }
        return hex
    }
}

/// Turns identifiers of persons into tokens: `usr_<key version>_<HMAC-SHA-256 in hex>`.
///
/// The same value and key give the same token in every run, job and process. The value is normalised first: white space
/// around it does not count, nor how its accents are composed.
package struct Tokeniser: Sendable {
    static let digits = Array("0123456789abcdef".utf8)

    package let key: TokenKey
    private let prefix: [UInt8]

    package init(_ key: TokenKey) {
        self.key = key
        prefix = Array("usr_\(key.version)_".utf8)
    }

    /// The token of an identifier, as UTF-8.
    package func token(_ identifier: [UInt8]) -> [UInt8] { prefix + key.code(Self.normalised(identifier)) }

    /// A token of the source as it is; anything else that stands in its place becomes a token of ours.
    ///
    /// A token is `usr_`, a version and 64 hex digits: no name, e-mail, phone, card or account number passes for one.
    package func admitted(_ value: [UInt8]) -> [UInt8] { Self.looksLikeToken(value) ? value : token(value) }

    /// The token for a person's value of the source: v1 has identifiers, v2 tokens.
    func token(of value: [UInt8], in schema: SourceSchema) -> [UInt8] {
        schema == .v1 ? token(value) : admitted(value)
    }

    static func normalised(_ value: [UInt8]) -> [UInt8] {
        // Plain ASCII is composed already.
        let isPlain = value.allSatisfy { $0 < 0x80 }
        let bytes =
            isPlain
            ? value : Array(String(decoding: value, as: UTF8.self).precomposedStringWithCanonicalMapping.utf8)
        let isBlank: (UInt8) -> Bool = { $0 == 0x20 || (0x09...0x0D).contains($0) }
        guard let first = bytes.firstIndex(where: { !isBlank($0) }),
            let last = bytes.lastIndex(where: { !isBlank($0) })
        else { return [] }
        return Array(bytes[first...last])
    }

    static func looksLikeToken(_ value: [UInt8]) -> Bool { version(ofToken: value) != nil }

    /// The key version that a token carries, 1 to 9999; nil for what is no token.
    static func version(ofToken value: [UInt8]) -> Int? {
        let mark = value.count - 65
        guard (5...8).contains(mark), value.starts(with: "usr_".utf8), value[mark] == 0x5F, value[4] != 0x30 else {
            return nil
        }
        var version = 0
        for byte in value[4..<mark] {
            guard (0x30...0x39).contains(byte) else { return nil }
            version = version * 10 + Int(byte - 0x30)
        }
        for byte in value[(mark + 1)...] {
            guard (0x30...0x39).contains(byte) || (0x61...0x66).contains(byte) else { return nil }
        }
        return version
    }
}
