// A token as a stranger sends it: nothing traps, and whatever its claims say, the rules of who may do what hold.
import AccessText
import Foundation

private let policies = [
    TokenPolicy(issuer: nil, audience: nil, cookieAgeMaxSeconds: 86_400),
    TokenPolicy(issuer: "us", audience: "etl", cookieAgeMaxSeconds: 60),
]
private let now = 1_800_000_000.0

@_cdecl("LLVMFuzzerTestOneInput")
func fuzzToken(_ start: UnsafePointer<UInt8>?, _ count: Int) -> CInt {
    let bytes = Array(UnsafeBufferPointer(start: start, count: count))
    let token = String(decoding: bytes, as: UTF8.self)
    let isHS256 = TokenText.isHS256(token)
    let parts = token.split(separator: ".", omittingEmptySubsequences: false)
    if isHS256 { precondition(parts.count == 3 && !parts[2].isEmpty, "without a signature") }
    // The payload of a token that somebody with the key signed, and the same bytes as a payload of their own.
    let payloads = (parts.count > 1 ? [Base64Text.decode(parts[1])] : []) + [bytes]
    for case let payload? in payloads {
        guard let claims = try? JSONDecoder().decode(AccessClaims.self, from: Data(payload)) else { continue }
        for policy in policies {
            if let caller = try? policy.caller(claims, carrier: .bearer, now: now) {
                precondition(claims.exp.map { $0 > now } == true, "a bearer token without a future end")
                check(caller)
            }
            if let caller = try? policy.caller(claims, carrier: .cookie, now: now) {
                precondition(!caller.scopes.contains(.admin), "a cookie administers")
                precondition(claims.exp != nil || claims.iat != nil, "a session without an end")
                check(caller)
            }
        }
    }
    return 0
}

private func check(_ caller: Caller) {
    precondition(!caller.name.isEmpty && caller.name.unicodeScalars.count <= 64)
    precondition(caller.name.unicodeScalars.allSatisfy { $0.value > 0x20 && $0.value != 0x7F }, "a name for a log line")
}
