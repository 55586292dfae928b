import Dispatch
import Glibc
import Runtime

/// A listening socket, IPv4 or IPv6.
final class SocketListener: Sendable {
    private let descriptor: Int32
    let port: Int
    private let pending = BoundedChannel<SocketStream>(capacity: 128)
    private let source: SourceBox

    init(host: String, port: Int) throws {
        func refuse(_ what: String) -> TallyError {
            TallyError(
                .settingsInvalid,
                during: "http.listen",
                "cannot listen on \(host):\(port): \(what)",
                remedy: "Set HOST and PORT to an address of this machine that is free."
            )
        }
        var hints = addrinfo()
        hints.ai_flags = AI_PASSIVE | AI_NUMERICHOST
        hints.ai_socktype = Int32(SOCK_STREAM.rawValue)
        var found: UnsafeMutablePointer<addrinfo>?
        let name = host == "localhost" ? "127.0.0.1" : host
        guard getaddrinfo(name, String(port), &hints, &found) == 0, let address = found else {
            throw refuse("not a numeric address")
        }
        defer { freeaddrinfo(found) }
        let type = Int32(SOCK_STREAM.rawValue) | Int32(SOCK_CLOEXEC.rawValue) | Int32(SOCK_NONBLOCK.rawValue)
        let descriptor = socket(address.pointee.ai_family, type, 0)
        guard descriptor >= 0 else { throw refuse(String(cString: strerror(errno))) }
        var on: Int32 = 1
        setsockopt(descriptor, SOL_SOCKET, SO_REUSEADDR, &on, 4)
        guard bind(descriptor, address.pointee.ai_addr, address.pointee.ai_addrlen) == 0, listen(descriptor, 512) == 0
        else {
            let reason = String(cString: strerror(errno))
            Glibc.close(descriptor)
            throw refuse(reason)
        }
        var storage = sockaddr_storage()
        var length = socklen_t(MemoryLayout<sockaddr_storage>.size)
        let bound = withUnsafeMutablePointer(to: &storage) { pointer in
            pointer.withMemoryRebound(to: sockaddr.self, capacity: 1) { getsockname(descriptor, $0, &length) }
        }
        // Both families keep the port in the same two bytes.
        self.descriptor = descriptor
        self.source = SourceBox(
            DispatchSource.makeReadSource(
                fileDescriptor: descriptor,
                queue: DispatchQueue(label: "tallyman.http.listener")
            )
        )
        self.port = bound == 0 ? withUnsafeBytes(of: storage) { Int($0[2]) << 8 | Int($0[3]) } : port
        start()
    }

    private func start() {
        let descriptor = descriptor
        source.source.setEventHandler { [self] in acceptAll() }
        source.source.setCancelHandler { [pending] in
            Glibc.close(descriptor)
            pending.finish()
        }
        source.source.activate()
    }

    /// Takes what is waiting; a full table of descriptors (EMFILE) leaves the rest in the kernel's queue.
    private func acceptAll() {
        while true {
            let accepted = Glibc.accept(descriptor, nil, nil)
            guard accepted >= 0 else { return }
            _ = fcntl(accepted, F_SETFD, FD_CLOEXEC)
            _ = fcntl(accepted, F_SETFL, fcntl(accepted, F_GETFL) | O_NONBLOCK)
            var on: Int32 = 1
            setsockopt(accepted, Int32(IPPROTO_TCP), TCP_NODELAY, &on, 4)
            let stream = SocketStream(descriptor: accepted, peer: "client")
            if !pending.offer(stream) { stream.close() }
        }
    }

    /// The next connection; nil once the listener is closed.
    func accept() async -> SocketStream? {
        try? await pending.receive()
    }

    func close() {
        source.source.cancel()
    }
}
