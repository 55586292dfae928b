import Foundation
import Glibc

/// What the kernel says of this process.
package struct ProcessSample: Sendable, Equatable {
    package let cpuSeconds: Double
    package let residentBytes: Int
    package let openFDs: Int
    package let maxFDs: Int
    package let startTime: Double
}

package enum ProcessMetrics {
    private static let started = Date().timeIntervalSince1970

    /// Reads `/proc/self`; costs three small reads.
    package static func sample() -> ProcessSample {
        var usage = rusage()
        unsafe getrusage(__rusage_who_t(RUSAGE_SELF.rawValue), &usage)
        let cpu =
            Double(usage.ru_utime.tv_sec + usage.ru_stime.tv_sec)
            + Double(usage.ru_utime.tv_usec + usage.ru_stime.tv_usec) / 1_000_000
        let pages =
            (try? String(contentsOfFile: "/proc/self/statm", encoding: .utf8))
            .flatMap { Int($0.split(separator: " ").dropFirst().first ?? "") } ?? 0
        var limit = rlimit()
        unsafe getrlimit(__rlimit_resource_t(RLIMIT_NOFILE.rawValue), &limit)
        let open = (try? FileManager.default.contentsOfDirectory(atPath: "/proc/self/fd").count) ?? 0
        return ProcessSample(
            cpuSeconds: cpu,
            residentBytes: pages * Int(sysconf(Int32(_SC_PAGESIZE))),
            openFDs: open,
            maxFDs: Int(clamping: limit.rlim_cur),
            startTime: started
        )
    }
}
