import Crypto
import Foundation
package import Postgres
package import Runtime

/// Refresh tokens in `marketplace.tokens`, sealed with AES-256-GCM; the row's name is authenticated with it.
package struct TokenVault: TokenKeeping {
    private let key: SymmetricKey
    private let pool: PGPool

    /// nil unless `key` is 32 bytes in base64 or hex.
    package init?(key: Secret<String>, pool: PGPool) {
        guard let bytes = key.expose(Self.bytes), bytes.count == 32 else { return nil }
        self.key = SymmetricKey(data: bytes)
        self.pool = pool
    }

    private static func bytes(_ text: String) -> [UInt8]? {
        if text.utf8.count == 64 {
            var out: [UInt8] = []
            var rest = text[...]
            while !rest.isEmpty {
                guard let byte = UInt8(rest.prefix(2), radix: 16) else { return nil }
                out.append(byte)
                rest = rest.dropFirst(2)
            }
            return out
        }
        return Data(base64Encoded: text).map { Array($0) }
    }

    /// Throws `.credentialsRejected` when the row was sealed with another key.
    package func load(_ name: String) async throws -> Secret<String>? {
        let rows = try await pool.withConnection {
            try await $0.query("SELECT sealed FROM marketplace.tokens WHERE name = $1", [.text(name)]).rows
        }
        guard let sealed = rows.first?[0].bytes else { return nil }
        do {
            let box = try AES.GCM.SealedBox(combined: sealed)
            let plain = try AES.GCM.open(box, using: key, authenticating: Array(name.utf8))
            return Secret(String(decoding: plain, as: UTF8.self))
        } catch {
            throw TallyError(
                .credentialsRejected,
                during: "token.load",
                "a stored refresh token cannot be opened with TOKEN_KEY",
                remedy: "Set the TOKEN_KEY it was stored with, or authorise again and delete the row of \(name) "
                    + "in marketplace.tokens.",
                cause: error
            )
        }
    }

    package func store(_ name: String, _ token: Secret<String>) async throws {
        let sealed = try token.expose {
            try AES.GCM.seal(Array($0.utf8), using: key, authenticating: Array(name.utf8)).combined
        }
        guard let sealed else {
            throw TallyError(.unknown, during: "token.store", "the refresh token could not be sealed")
        }
        _ = try await pool.withConnection {
            try await $0.query(
                """
                INSERT INTO marketplace.tokens (name, sealed) VALUES ($1, $2)
                ON CONFLICT (name) DO UPDATE SET sealed = excluded.sealed, stored_at = clock_timestamp()
                """,
                [.text(name), .bytea(Array(sealed))]
            )
        }
    }
}
