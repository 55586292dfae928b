import CLibC
import Glibc

/// An epoll instance: tells which descriptors can be used, each change once (edge-triggered).
///
/// Ours, and not a dispatch source for each socket, because Dispatch on Linux forgets a source whose peer has hung up
/// on the source's queue while its own thread still walks the same record (swift-corelibs-libdispatch, issue 949): any
/// client could crash the process by leaving. An epoll instance never hangs up, so that one source over it is safe; and
/// a connection costs two system calls for its whole life instead of some for every wait.
struct Poll: Sendable {
    struct Event {
        let token: UInt64
        let isReadable: Bool
        let isWritable: Bool
        /// The peer has ended its side, or the connection is broken: this stays.
        let isEnded: Bool
    }

    private static let eventsMax = 64

    let descriptor: Int32

    /// Nil when this process has no descriptor left.
    init?() {
        descriptor = epoll_create1(Int32(EPOLL_CLOEXEC))
        guard descriptor >= 0 else { return nil }
    }

    /// From now on every change is told under `token`; what holds already is told too. False when the kernel refuses.
    func add(_ watched: Int32, token: UInt64) -> Bool {
        let wanted = EPOLLIN.rawValue | EPOLLOUT.rawValue | EPOLLRDHUP.rawValue | EPOLLET.rawValue
        var event = epoll_event(events: wanted, data: epoll_data_t(u64: token))
        return epoll_ctl(descriptor, EPOLL_CTL_ADD, watched, &event) == 0
    }

    /// To be called before `watched` is closed: a copy of it in another process would keep it told.
    func remove(_ watched: Int32) {
        var event = epoll_event()
        _ = epoll_ctl(descriptor, EPOLL_CTL_DEL, watched, &event)
    }

    /// What has changed, without waiting; returns how many.
    func next(_ tell: (Event) -> Void) -> Int {
        withUnsafeTemporaryAllocation(of: epoll_event.self, capacity: Self.eventsMax) { buffer in
            let count = Int(epoll_wait(descriptor, buffer.baseAddress, Int32(Self.eventsMax), 0))
            guard count > 0 else { return 0 }
            for event in buffer[..<count] {
                let flags = event.events
                let isBroken = flags & (EPOLLERR.rawValue | EPOLLHUP.rawValue) != 0
                tell(
                    Event(
                        token: event.data.u64,
                        isReadable: isBroken || flags & (EPOLLIN.rawValue | EPOLLRDHUP.rawValue) != 0,
                        isWritable: isBroken || flags & EPOLLOUT.rawValue != 0,
                        isEnded: isBroken || flags & EPOLLRDHUP.rawValue != 0
                    )
                )
            }
            return count
        }
    }
}
