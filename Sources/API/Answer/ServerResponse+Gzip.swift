import Gzip
import HTTPServer
import HTTPTypes
import HTTPWire

extension ServerResponse {
    /// Shorter bodies are not worth the work.
    static let gzipBytesMin = 1_024

    /// The same answer, compressed when the client asked for gzip and there is something to gain; caches are told that
    /// the answer depends on it.
    ///
    /// Throws `.limitExceeded` when zlib has no memory.
    func gzipped(for request: ServerRequest) throws -> ServerResponse {
        guard case .bytes(let plain) = body else { return self }
        var response = self
        response.headers[.vary] = "Accept-Encoding"
        guard plain.count >= Self.gzipBytesMin, AcceptEncoding.asks(for: "gzip", request.headers[.acceptEncoding])
        else {
            return response
        }
        let writer = try GzipWriter()
        response.body = .bytes(try writer.write(plain) + writer.finish())
        response.headers[.contentEncoding] = "gzip"
        return response
    }
}
