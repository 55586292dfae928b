import Synchronization

/// Ids of requests: a number that is this process's own and one that counts, so that no two requests of a deployment
/// share one, and making it asks nobody.
enum RequestNumber {
    private static let process = hex(UInt64.random(in: .min ... .max), digits: 16)
    private static let count = Atomic<UInt64>(0)

    static func next() -> String {
        process + "-" + hex(count.add(1, ordering: .relaxed).newValue, digits: 6)
    }

    private static func hex(_ number: UInt64, digits: Int) -> String {
        let text = String(number, radix: 16)
        return String(repeating: "0", count: max(0, digits - text.utf8.count)) + text
    }
}
