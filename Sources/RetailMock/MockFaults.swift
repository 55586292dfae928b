import Synchronization

/// Something the sample API does wrong when it is asked to.
package enum MockFault: String, Sendable, CaseIterable {
    case slow, serverError, truncated, unauthorized, duplicatePage
}

/// Faults that wait for their turn: each request of a path takes the first one that is for it.
package final class MockFaults: Sendable {
    private struct Waiting {
        let fault: MockFault
        let path: String?
        /// Requests to let pass first.
        var after: Int
    }
    private let waiting = Mutex<[Waiting]>([])

    package init() {}

    /// - Parameters:
    ///   - path: `sales`, `customers` or `products`; nil for any.
    ///   - after: how many requests of that path go well before.
    package func add(_ fault: MockFault, path: String? = nil, times: Int = 1, after: Int = 0) {
        waiting.withLock { list in
            for _ in 0..<times { list.append(Waiting(fault: fault, path: path, after: after)) }
        }
    }

    /// The fault of this request, which is then used up.
    func take(_ path: String) -> MockFault? {
        waiting.withLock { list in
            guard let index = list.firstIndex(where: { $0.path == nil || $0.path == path }) else { return nil }
            guard list[index].after == 0 else {
                list[index].after -= 1
                return nil
            }
            return list.remove(at: index).fault
        }
    }

    /// How many wait.
    package var count: Int { waiting.withLock { $0.count } }
}
