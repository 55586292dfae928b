import Engine
import Foundation
import Postgres

extension Puller {
    // MARK: Finding what was deleted

    func sweep(_ state: inout PullState, _ end: Date) async throws {
        let table = "\(state.pipeline.rawValue)_sweep"
        let last = try await target.withConnection { try await Watermarks.read(key(table), on: $0) }
        let isDue = last?.instant.map { end.timeIntervalSince($0) >= 86_400 } ?? true || state.isSweepAsked
        guard isDue || context.options.full == true else { return }
        context.progress.stage("\(scope.source) \(state.pipeline.rawValue) sweep")
        var seen = SweepMarker(pipeline: state.pipeline, scope: scope)
        let context = context
        let retrying = PullRetrying { step in try await context.retrying("marketplace.sweep", step) }
        try await source.sweep(state.pipeline, retrying) { seen.take($0) }
        let marker = seen
        state.result.marked = try await target.withConnection { connection in
            let gone = try await marker.gone(on: connection, isForced: context.options.full == true)
            guard !context.options.dryRun else { return gone.count }
            return try await context.write(on: connection, durable: true) { connection in
                let marked = try await marker.mark(gone, on: connection)
                try await Watermarks.set(key(table), to: Watermark(instant: end), on: connection)
                return marked
            }
        }
    }
}
