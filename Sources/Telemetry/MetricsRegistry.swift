package import CoreMetrics
import Synchronization

/// The swift-metrics backend: keeps every series in memory and writes Prometheus text (format 0.0.4).
///
/// A metric keeps at most `seriesMax` series; further label sets are dropped and counted in
/// `tallyman_metric_series_dropped_total`.
package final class MetricsRegistry: MetricsFactory, Sendable {
    package static let shared = MetricsRegistry()
    static let seriesMax = 1_000
    static let defaultBuckets: [Double] = [0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10, 30, 60, 300, 1_800]

    enum Kind: String { case counter, gauge, histogram }

    struct Series {
        var value = 0.0
        var buckets: [Int] = []
        var count = 0
    }

    struct Family {
        let kind: Kind
        /// Where the series of each label set stands.
        var places: [[String]: Int] = [:]

        var bounds: [Double] { kind == .histogram ? MetricsRegistry.defaultBuckets : [] }
    }

    struct State {
        var families: [String: Family] = [:]
        /// Never shorter, so that a place may be remembered.
        var series: [Series] = []
        var help: [String: String] = [:]
        var dropped = 0
    }

    private let state = Mutex(State())
    private static let installed: Void = MetricsSystem.bootstrap(shared)

    package init() {}

    /// Makes `shared` the place of every metric of the process; again changes nothing.
    package static func install() { installed }

    /// The HELP line of a metric.
    package func describe(_ name: String, help: String) {
        state.withLock { $0.help[name] = help }
    }

    /// Changes a series, which is made with the first change; returns where it stands, nil when it is one too many.
    ///
    /// - Parameters:
    ///   - key: names and values of the labels in turn, sorted by name.
    ///   - place: what an earlier call with the same metric and labels returned.
    private func update(
        _ name: String,
        _ kind: Kind,
        _ key: [String],
        at place: Int?,
        _ change: (inout Series) -> Void
    ) -> Int? {
        state.withLock { state in
            guard let place = place ?? Self.place(name, kind, key, &state) else {
                state.dropped += 1
                return nil
            }
            change(&state.series[place])
            return place
        }
    }

    private static func place(_ name: String, _ kind: Kind, _ key: [String], _ state: inout State) -> Int? {
        if let known = state.families[name]?.places[key] { return known }
        guard state.families[name]?.places.count ?? 0 < seriesMax else { return nil }
        state.families[name, default: Family(kind: kind)].places[key] = state.series.count
        state.series.append(Series())
        return state.series.count - 1
    }

    /// The value of a counter or gauge; nil when it was never set.
    package func value(_ name: String, labels: [String: String] = [:]) -> Double? {
        let key = labels.sorted { $0.key < $1.key }.flatMap { [$0.key, $0.value] }
        return state.withLock { state in state.families[name]?.places[key].map { state.series[$0].value } }
    }

    /// Every metric name seen so far.
    package var names: [String] { state.withLock { $0.families.keys.sorted() } }

    /// The page that Prometheus scrapes, families and series in a stable order.
    package func prometheusText() -> String {
        let (families, all, help, dropped) = state.withLock { ($0.families, $0.series, $0.help, $0.dropped) }
        var out = ""
        for (name, family) in families.sorted(by: { $0.key < $1.key }) {
            if let text = help[name] { out += "# HELP \(name) \(Self.escaped(text))\n" }
            out += "# TYPE \(name) \(family.kind.rawValue)\n"
            for (key, place) in family.places.sorted(by: { $0.key.lexicographicallyPrecedes($1.key) }) {
                Self.write(name, family, key, all[place], into: &out)
            }
        }
        let process = ProcessMetrics.sample()
        for (name, kind, value) in [
            ("process_cpu_seconds_total", "counter", process.cpuSeconds),
            ("process_max_fds", "gauge", Double(process.maxFDs)),
            ("process_open_fds", "gauge", Double(process.openFDs)),
            ("process_resident_memory_bytes", "gauge", Double(process.residentBytes)),
            ("process_start_time_seconds", "gauge", process.startTime),
            ("tallyman_metric_series_dropped_total", "counter", Double(dropped)),
        ] {
            out += "# TYPE \(name) \(kind)\n\(name) \(Self.number(value))\n"
        }
        return out
    }

    private static func write(
        _ name: String,
        _ family: Family,
        _ key: [String],
        _ series: Series,
        into out: inout String
    ) {
        guard family.kind == .histogram else {
            out += "\(name)\(labels(key)) \(number(series.value))\n"
            return
        }
        var cumulative = 0
        for (index, bound) in family.bounds.enumerated() {
            cumulative += index < series.buckets.count ? series.buckets[index] : 0
            out += "\(name)_bucket\(labels(key + ["le", number(bound)])) \(cumulative)\n"
        }
        out += "\(name)_bucket\(labels(key + ["le", "+Inf"])) \(series.count)\n"
        out += "\(name)_sum\(labels(key)) \(number(series.value))\n\(name)_count\(labels(key)) \(series.count)\n"
    }

    private static func labels(_ key: [String]) -> String {
        guard !key.isEmpty else { return "" }
        var parts: [String] = []
        for index in stride(from: 0, to: key.count, by: 2) {
            parts.append("\(key[index])=\"\(escaped(key[index + 1], quotes: true))\"")
        }
        return "{" + parts.joined(separator: ",") + "}"
    }

    /// Scalar by scalar: a quote and the combining mark behind it are one `Character`, and so are CR and LF.
    private static func escaped(_ text: String, quotes: Bool = false) -> String {
        text.unicodeScalars.map { scalar in
            switch scalar {
            case "\\": "\\\\"
            case "\"" where quotes: "\\\""
            case "\n": "\\n"
            default: String(scalar)
            }
        }.joined()
    }

    private static func number(_ value: Double) -> String {
        if value.isNaN { return "NaN" }
        if value.isInfinite { return value < 0 ? "-Inf" : "+Inf" }
        return value == value.rounded() && abs(value) < 1e15 ? String(Int(value)) : "\(value)"
    }
}

extension MetricsRegistry {
    private final class Handle: CounterHandler, FloatingPointCounterHandler, RecorderHandler, TimerHandler, MeterHandler
    {
        let registry: MetricsRegistry
        let label: String
        let key: [String]
        let kind: Kind
        /// Where the series stands, once it does: a handle that is kept looks it up once. Negative before.
        private let place = Atomic<Int>(-1)

        init(_ registry: MetricsRegistry, _ label: String, _ dimensions: [(String, String)], _ kind: Kind) {
            self.registry = registry
            self.label = label
            key = dimensions.sorted { $0.0 < $1.0 }.flatMap { [$0.0, $0.1] }
            self.kind = kind
        }

        private func update(_ change: (inout Series) -> Void) {
            let known = place.load(ordering: .relaxed)
            let now = registry.update(label, kind, key, at: known < 0 ? nil : known, change)
            if known < 0, let now { place.store(now, ordering: .relaxed) }
        }

        private func add(_ amount: Double) { update { $0.value += amount } }
        func set(_ value: Double) { update { $0.value = value } }
        private func observe(_ value: Double) {
            update { series in
                let bounds = MetricsRegistry.defaultBuckets
                if series.buckets.isEmpty { series.buckets = Array(repeating: 0, count: bounds.count) }
                if let index = bounds.firstIndex(where: { value <= $0 }) { series.buckets[index] += 1 }
                series.value += value
                series.count += 1
            }
        }

        func increment(by amount: Int64) { add(Double(amount)) }
        func increment(by amount: Double) { add(amount) }
        func decrement(by amount: Double) { add(-amount) }
        func reset() { set(0.0) }
        func set(_ value: Int64) { set(Double(value)) }
        func record(_ value: Int64) { record(Double(value)) }
        func record(_ value: Double) { if kind == .histogram { observe(value) } else { set(value) } }
        func recordNanoseconds(_ duration: Int64) { observe(Double(duration) / 1_000_000_000) }
    }

    package func makeCounter(label: String, dimensions: [(String, String)]) -> any CounterHandler {
        Handle(self, label, dimensions, .counter)
    }
    package func makeFloatingPointCounter(label: String, dimensions: [(String, String)])
        -> any FloatingPointCounterHandler
    {
        Handle(self, label, dimensions, .counter)
    }
    package func makeRecorder(label: String, dimensions: [(String, String)], aggregate: Bool) -> any RecorderHandler {
        Handle(self, label, dimensions, aggregate ? .histogram : .gauge)
    }
    package func makeMeter(label: String, dimensions: [(String, String)]) -> any MeterHandler {
        Handle(self, label, dimensions, .gauge)
    }
    package func makeTimer(label: String, dimensions: [(String, String)]) -> any TimerHandler {
        Handle(self, label, dimensions, .histogram)
    }
    package func destroyCounter(_ handler: any CounterHandler) {}
    package func destroyFloatingPointCounter(_ handler: any FloatingPointCounterHandler) {}
    package func destroyRecorder(_ handler: any RecorderHandler) {}
    package func destroyMeter(_ handler: any MeterHandler) {}
    package func destroyTimer(_ handler: any TimerHandler) {}
}
