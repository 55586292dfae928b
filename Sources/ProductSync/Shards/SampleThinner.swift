/// Keeps evenly spaced values of a sequence of unknown length, in its order, within a fixed number of them.
///
/// Starts with every value; whenever twice the wanted number is held, every other one goes and the step doubles.
package struct SampleThinner<Value: Sendable>: Sendable {
    package private(set) var values: [Value] = []
    private let wanted: Int
    private var step = 1
    private var seen = 0

    /// `wanted`: at least one; between that many and twice that many are held once there were enough.
    package init(wanted: Int) { self.wanted = max(1, wanted) }

    package mutating func add(_ value: @autoclosure () -> Value) {
        defer { seen += 1 }
        guard seen % step == 0 else { return }
        values.append(value())
        guard values.count >= wanted * 2 else { return }
        values = stride(from: 0, to: values.count, by: 2).map { values[$0] }
        step *= 2
    }
}

/// Cuts sorted samples into stretches of equal size.
package enum EqualParts {
    /// The values at which to cut `sorted` into `count` parts: distinct, in order, `count - 1` at most.
    ///
    /// Equal values never stand on both sides of a cut. Never the first value: nothing would lie below it.
    package static func bounds<Value: Equatable>(_ sorted: [Value], into count: Int) -> [Value] {
        guard count > 1, !sorted.isEmpty else { return [] }
        var bounds: [Value] = []
        for part in 1..<count {
            let value = sorted[part * sorted.count / count]
            if value != sorted[0], value != bounds.last { bounds.append(value) }
        }
        return bounds
    }
}
