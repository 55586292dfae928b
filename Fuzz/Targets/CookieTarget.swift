// A `Cookie` field: nothing traps, and a token that is found is found again in a cookie made from it.
import AccessText
import Foundation
import Runtime

@_cdecl("LLVMFuzzerTestOneInput")
func fuzzCookie(_ start: UnsafePointer<UInt8>?, _ count: Int) -> CInt {
    let field = String(decoding: UnsafeBufferPointer(start: start, count: count), as: UTF8.self)
    guard let token = SessionCookie.token(in: field) else { return 0 }
    precondition(token.utf8.count <= TokenText.bytesMax * 2, "longer than its cookie may be")
    let body = JSONValue.object(["jwt": .string(token)]).text
    // Control characters grow when they are written anew, and may then pass the limit.
    guard body.utf8.count < TokenText.bytesMax else { return 0 }
    let again = "a=b; session=" + Data(body.utf8).base64EncodedString() + "; c=d"
    precondition(SessionCookie.token(in: again) == token, "a round trip changes the token")
    return 0
}
