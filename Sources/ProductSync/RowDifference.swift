import Engine
package import Logging
package import Mongo
package import Postgres
package import Runtime

/// One product on both sides, value by value, as it stands now: for an operator who asked to see it.
package enum RowDifference {
    /// How the two sides of one key relate.
    package enum Verdict: String, Sendable { case equal, stale, missing, orphaned, rejected, absent }

    /// Reads both sides once, on read-only sessions; values longer than 4,000 characters are cut.
    ///
    /// A rejected product (its document does not fit the table) has its reason instead of values. Throws
    /// `.requestInvalid` for a key that the target's key column cannot hold.
    package static func read(
        _ keyText: String,
        settings: ProductSyncSettings,
        mongo: MongoPool,
        cart: PGPool,
        logger: Logger
    ) async throws -> JSONValue {
        let plan = try await ProductSyncJob.plan(settings, cart: cart)
        guard let key = plan.key.bytes(ofText: keyText) else {
            throw TallyError(.requestInvalid, during: "difference.key", "the key does not fit the target's key column")
        }
        let context = RunContext(
            runID: RunID(),
            job: "product_sync",
            options: RunOptions(dryRun: true),
            fence: nil,
            logger: logger,
            progress: Progress(),
            deadLetters: DeadLetterSink(job: "product_sync", runID: RunID(), pool: nil)
        )
        let findings = try await KeyedComparison(
            source: SourceReader(pool: mongo, plan: plan, context: context),
            target: TargetReader(pool: cart, plan: plan, context: context),
            plan: plan
        ).again([key])
        return body(findings, keyText, plan)
    }

    private static func body(_ findings: Findings, _ key: String, _ plan: ColumnPlan) -> JSONValue {
        let (verdict, source, target): (Verdict, [UInt8]?, [UInt8]?) =
            if !findings.staleSource.isEmpty {
                (.stale, findings.staleSource.image(0), findings.staleTarget.image(0))
            } else if !findings.missing.isEmpty {
                (.missing, findings.missing.image(0), nil)
            } else if !findings.orphaned.isEmpty {
                (.orphaned, nil, findings.orphaned.image(0))
            } else if !findings.rejected.isEmpty {
                (.rejected, nil, nil)
            } else {
                (findings.unchanged > 0 ? .equal : .absent, nil, nil)
            }
        return [
            "key": .string(key), "verdict": .string(verdict.rawValue),
            "reason": findings.rejected.first.map { reason($0.rejection, plan) } ?? .null,
            "columns": .array(columns(source, target, plan)),
        ]
    }

    private static func reason(_ rejection: FieldRejection, _ plan: ColumnPlan) -> JSONValue {
        .string("column \(plan.columns[rejection.column].name): \(rejection.reason.rawValue)")
    }

    /// The columns that differ; all of them where one side has no row.
    private static func columns(_ source: [UInt8]?, _ target: [UInt8]?, _ plan: ColumnPlan) -> [JSONValue] {
        let indices: [Int]
        if let source, let target {
            indices = ImageComparison.differingColumns(
                source.span,
                0..<source.count,
                target.span,
                0..<target.count,
                plan: plan
            )
        } else {
            indices = source == nil && target == nil ? [] : Array(1..<max(1, plan.columns.count))
        }
        return indices.map { index in
            let column = plan.columns[index]
            return [
                "column": .string(column.name), "source": value(source, index, column.type),
                "target": value(target, index, column.type),
            ]
        }
    }

    private static func value(_ image: [UInt8]?, _ index: Int, _ type: FieldType) -> JSONValue {
        guard let image else { return .null }
        let fields = RowImage.fields(image.span, 0..<image.count)
        guard index < fields.count, let field = fields[index] else { return .null }
        return .string(FieldText.text(image.span, field, type))
    }
}
