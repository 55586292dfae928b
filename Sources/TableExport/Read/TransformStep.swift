import Engine
import Postgres
import Runtime

/// Applies a Swift transform to rows in COPY's text form.
struct TransformStep: Sendable {
    let plan: ExportPlan
    let transform: ExportTransform
    private let names: [String: Int]

    struct Applied: Sendable {
        /// What is left of them.
        var rows = PGCopyChunk(bytes: [], rowStarts: [])
        /// Those that were looked at: all, or those before the first bad one where that stops the run.
        var seen: PGCopyChunk
        var bad: [DeadLetter] = []
        var failure: TallyError?
    }

    init(plan: ExportPlan, transform: @escaping ExportTransform) {
        self.plan = plan
        self.transform = transform
        names = Dictionary(
            plan.columns.enumerated().map { ($0.element.target, $0.offset) },
            uniquingKeysWith: { first, _ in first }
        )
    }

    func apply(_ chunk: PGCopyChunk) throws -> Applied {
        var applied = Applied(seen: chunk)
        for index in chunk.rowStarts.indices {
            let bytes = chunk.row(index)
            let fields = CopyText.fields(bytes).map(FieldText.copied)
            let row = ExportRow(names: names, fields: Array(fields.prefix(plan.columns.count)))
            let changed: ExportRow?
            do {
                changed = try transform(row)
            } catch {
                let failure = failed(error, fields)
                guard plan.setsAside else {
                    applied.seen = chunk.first(index)
                    applied.failure = failure
                    return applied
                }
                applied.bad.append(BadRow(plan: plan, bytes: bytes).letter(failure))
                continue
            }
            guard let changed else { continue }
            applied.rows.rowStarts.append(Int32(applied.rows.bytes.count))
            let position = fields.dropFirst(plan.columns.count)
            CopyText.row(changed.fields + position, into: &applied.rows.bytes)
        }
        return applied
    }

    private func failed(_ error: any Error, _ fields: [String?]) -> TallyError {
        let at = fields.dropFirst(plan.columns.count).map { $0 ?? "NULL" }.joined(separator: ", ")
        return TallyError(
            .recordMalformed,
            during: "export.transform",
            "the transform failed at the row of position (\(at)): "
                + TallyError.wrapping(error, during: "export.transform").summary,
            remedy: "Mend the row or the transform; the next run goes on from there.",
            cause: error
        )
    }
}
