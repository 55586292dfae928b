import Foundation

/// Ports of 127.0.0.1 for servers that a test starts.
package enum FreePort {
    /// A port that was free a moment ago.
    package static func find() throws -> Int {
        let (descriptor, port) = try Sockets.listen(port: 0)
        close(descriptor)
        return port
    }
}
