import Foundation
import Runtime
import Synchronization

extension ProcessSetup {
    /// In debug builds `TALLYMAN_FAILPOINT=name[:count[:stop]]` kills the process when it reaches that point for the
    /// count-th time, or freezes it there as SIGSTOP does; a release build does not know the variable.
    static var failpoint: Failpoint {
        #if DEBUG
            guard let text = ProcessInfo.processInfo.environment["TALLYMAN_FAILPOINT"], !text.isEmpty else {
                return .none
            }
            let parts = text.split(separator: ":", maxSplits: 2)
            let wanted = String(parts[0])
            let left = Counter(parts.count > 1 ? Int(parts[1]) ?? 1 : 1)
            let signal = parts.count > 2 && parts[2] == "stop" ? SIGSTOP : SIGKILL
            return Failpoint { name in
                guard name == wanted, left.countDown() else { return }
                kill(getpid(), signal)
            }
        #else
            return .none
        #endif
    }

    #if DEBUG
        private final class Counter: Sendable {
            private let left: Mutex<Int>

            init(_ count: Int) { left = Mutex(count) }

            /// True exactly when the last one was counted.
            func countDown() -> Bool {
                left.withLock { left in
                    left -= 1
                    return left == 0
                }
            }
        }
    #endif
}
