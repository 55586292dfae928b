import CLibC
import Glibc
import Runtime
import Synchronization

/// A listening socket, IPv4 or IPv6.
final class SocketListener: Sendable {
    /// What the kernel takes of a connection beyond what is on its way (`TCP_NOTSENT_LOWAT`). Without this it takes
    /// 2.5 MB or so for whoever asks and never reads; a few hundred of them use up its memory for TCP, and then every
    /// connection of the machine is slowed down, those to the databases too.
    private static let unsentBytesMax: Int32 = 32_768

    private let descriptor: Int32
    let port: Int
    private let isClosed = Mutex(false)
    private let shard: Shard
    private let readiness: Readiness

    /// Listens on a numeric address or `localhost`; `::` takes IPv4 as well.
    ///
    /// Throws `.settingsInvalid` when the address is none of this machine, or taken.
    init(host: String, port: Int) throws {
        func refuse(_ what: String) -> TallyError {
            TallyError(
                .settingsInvalid,
                during: "http.listen",
                "cannot listen on \(host):\(port): \(what)",
                remedy: "Set HOST and PORT (METRICS_PORT for the metrics) to an address of this machine that is free."
            )
        }
        var hints = addrinfo()
        hints.ai_flags = AI_PASSIVE | AI_NUMERICHOST
        hints.ai_socktype = Int32(SOCK_STREAM.rawValue)
        var found: UnsafeMutablePointer<addrinfo>?
        let name = host == "localhost" ? "127.0.0.1" : host.filter { $0 != "[" && $0 != "]" }
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
        self.descriptor = descriptor
        shard = Shards.shard(for: descriptor)
        readiness = Readiness(descriptor, on: shard)
        // Both families keep the port in the same two bytes.
        self.port = bound == 0 ? withUnsafeBytes(of: storage) { Int($0[2]) << 8 | Int($0[3]) } : port
        guard readiness.begin() else { throw refuse("no descriptor is left") }
    }

    deinit {
        readiness.close()
    }

    /// The next connection; nil once the listener is closed or the task cancelled. One task may call it.
    ///
    /// - Parameter exhausted: called when this machine has no descriptor or memory for one more connection, which
    ///   then waits in the kernel's queue; the next try comes after a short pause.
    func accept(exhausted: () -> Void) async -> SocketStream? {
        while !isClosed.withLock({ $0 }) {
            let (stream, failure) = take()
            if let stream { return stream }
            switch failure {
            case EAGAIN:
                if case .cancelled = await readiness.reading.wait(on: shard, until: .max) { return nil }
            case EMFILE, ENFILE, ENOBUFS, ENOMEM:
                exhausted()
                guard await Shards.pause(.milliseconds(50)) else { return nil }
            case EINVAL, EBADF, ENOTSOCK: return nil
            // What is left are errors of the one connection that was taken (accept(2)): go on with the next.
            default: continue
            }
        }
        return nil
    }

    /// A waiting connection, or why there is none.
    private func take() -> (SocketStream?, failure: Int32) {
        var storage = sockaddr_storage()
        var length = socklen_t(MemoryLayout<sockaddr_storage>.size)
        let flags = Int32(SOCK_CLOEXEC.rawValue) | Int32(SOCK_NONBLOCK.rawValue)
        let accepted = accept4(descriptor, &storage, &length, flags)
        guard accepted >= 0 else { return (nil, errno) }
        var on: Int32 = 1
        setsockopt(accepted, Int32(IPPROTO_TCP), TCP_NODELAY, &on, 4)
        setsockopt(accepted, SOL_SOCKET, SO_KEEPALIVE, &on, 4)
        var unsent = Self.unsentBytesMax
        setsockopt(accepted, Int32(IPPROTO_TCP), TCP_NOTSENT_LOWAT, &unsent, 4)
        guard let stream = SocketStream(descriptor: accepted, peer: Self.name(storage, length)) else {
            return (nil, ENOMEM)
        }
        return (stream, 0)
    }

    private static func name(_ storage: sockaddr_storage, _ length: socklen_t) -> String {
        var storage = storage
        var text = [CChar](repeating: 0, count: Int(NI_MAXHOST))
        let status = withUnsafePointer(to: &storage) { pointer in
            pointer.withMemoryRebound(to: sockaddr.self, capacity: 1) {
                getnameinfo($0, length, &text, socklen_t(text.count), nil, 0, NI_NUMERICHOST)
            }
        }
        return status == 0 ? String(decoding: text.prefix { $0 != 0 }.map { UInt8(bitPattern: $0) }, as: UTF8.self) : ""
    }

    /// Takes no further connection and wakes `accept`.
    func close() {
        let isFirst = isClosed.withLock { isClosed in
            defer { isClosed = true }
            return !isClosed
        }
        if isFirst { readiness.shut(Int32(SHUT_RDWR)) }
    }
}

/// What the kernel lets this process open.
enum DescriptorLimit {
    /// Raises the soft limit of open files towards `wanted`, as far as the hard limit allows; never lowers it.
    ///
    /// Returns the limit that holds then.
    static func raise(to wanted: Int) -> Int {
        let files = __rlimit_resource_t(RLIMIT_NOFILE.rawValue)
        var limit = rlimit()
        guard getrlimit(files, &limit) == 0 else { return wanted }
        let before = Int(clamping: limit.rlim_cur)
        guard before < wanted else { return before }
        limit.rlim_cur = min(rlim_t(wanted), limit.rlim_max)
        return setrlimit(files, &limit) == 0 ? Int(clamping: limit.rlim_cur) : before
    }
}
