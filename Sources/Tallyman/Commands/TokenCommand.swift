import API
import ArgumentParser
import Foundation
import Runtime

struct TokenCommand: TallyCommand {
    static let configuration = CommandConfiguration(
        commandName: "token",
        abstract: "Make a bearer token signed with JWT_KEY."
    )

    @OptionGroup var common: CommonOptions

    @Option(name: .long, help: "Who the token is for; it stands in the ledger as requested_by.")
    var subject = "operator"

    @Option(name: .long, help: "Scopes, separated by spaces or commas: etl:read etl:write etl:admin.")
    var scope = "etl:read etl:write"

    @Option(name: .long, help: "How long it lasts: 90s, 15m, 1h or 30d.")
    var ttl = "1h"

    func validate() throws {
        guard TokenCommand.seconds(ttl) != nil else { throw ValidationError("--ttl must be like 90s, 15m, 1h or 30d.") }
        guard !scopes.isEmpty, scopes.allSatisfy({ Scope(rawValue: $0) != nil }) else {
            throw ValidationError("--scope must name scopes of etl:read, etl:write, etl:admin.")
        }
    }

    func execute(_ console: Console) async throws -> ExitStatus {
        let reader = try SettingsReader.process()
        guard let key = reader.secret(.jwtKey) else {
            throw SettingsInvalid(problems: [SettingProblem(name: "JWT_KEY", reason: "is required to sign a token")])
        }
        let now = Date().timeIntervalSince1970.rounded(.down)
        let expires = now + Double(TokenCommand.seconds(ttl) ?? 3600)
        let claims = AccessClaims(
            sub: subject,
            exp: expires,
            iat: now,
            iss: reader.string(.jwtIssuer),
            aud: reader.string(.jwtAudience).map { [$0] } ?? [],
            scope: scopes.joined(separator: " ")
        )
        guard let token = try await TokenVerifier(keys: [key]).sign(claims) else {
            throw TallyError(.settingsInvalid, during: "command.token", "there is no key to sign with")
        }
        let until = Timestamp.text(Date(timeIntervalSince1970: expires))
        console.answer([
            "success": true, "token": .string(token), "expiresAt": .string(until),
            "scope": .string(scopes.joined(separator: " ")), "subject": .string(subject),
        ])
        console.line(token)
        return .done
    }

    private var scopes: [String] { scope.split(whereSeparator: { $0 == " " || $0 == "," }).map(String.init) }

    /// Seconds of `90s`, `15m`, `1h`, `30d`; at most a year.
    static func seconds(_ text: String) -> Int? {
        let units: [Character: Int] = ["s": 1, "m": 60, "h": 3600, "d": 86_400]
        guard let unit = text.last.flatMap({ units[$0] }), let number = Int(text.dropLast()), number > 0,
            number <= 31_536_000 / unit
        else { return nil }
        return number * unit
    }
}
