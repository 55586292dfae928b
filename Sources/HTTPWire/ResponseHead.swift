package import HTTPTypes

/// Writes a response head as bytes (RFC 9112 §4).
package enum ResponseHead {
    package static func bytes(_ status: HTTPResponse.Status, _ fields: HTTPFields) -> [UInt8] {
        var text = "HTTP/1.1 \(status.code) \(status.reasonPhrase)\r\n"
        for field in fields { text += "\(field.name.rawName): \(field.value)\r\n" }
        return Array((text + "\r\n").utf8)
    }
}
