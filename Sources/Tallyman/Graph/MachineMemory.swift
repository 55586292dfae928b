import API
import Foundation
import Telemetry

/// Memory of this process and what it may have: the container's limit when there is one, else the machine's.
enum MachineMemory {
    static func use() -> MemoryUse {
        let resident = Double(ProcessMetrics.sample().residentBytes)
        let mebibyte = 1_048_576.0
        let limit = containerLimit() ?? Double(ProcessInfo.processInfo.physicalMemory)
        return MemoryUse(usedMiB: resident / mebibyte, totalMiB: limit / mebibyte)
    }

    private static func containerLimit() -> Double? {
        guard let text = try? String(contentsOfFile: "/sys/fs/cgroup/memory.max", encoding: .utf8) else { return nil }
        return Double(text.trimmingCharacters(in: .whitespacesAndNewlines))
    }
}
