import Dispatch
import Foundation

/// Where URLSession tells its delegate, one block after the other.
///
/// Foundation on Linux adds an operation for each piece of a download, of sixteen kilobytes, and does not wait for it.
/// Operations are slow enough for a large download to heap them up by the thousand; a plain serial queue keeps pace.
final class DelegateQueue: OperationQueue, @unchecked Sendable {
    /// Immutable, and safe to use from any thread.
    private let line = DispatchQueue(label: "tallyman.http.delegate")

    override func addOperation(_ block: @escaping @Sendable () -> Void) {
        line.async(execute: block)
    }
}
