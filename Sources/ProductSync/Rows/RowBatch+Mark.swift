extension RowBatch {
    /// The rows whose `mark` column does not say yet that they are orphans: not true, or NULL where it is a time.
    func unmarked(_ mark: Int, _ plan: ColumnPlan) -> RowBatch {
        var unmarked = RowBatch()
        for row in 0..<count where !isMarked(row, mark, plan) { unmarked.append(bytes.span, range(row)) }
        return unmarked
    }

    private func isMarked(_ row: Int, _ mark: Int, _ plan: ColumnPlan) -> Bool {
        let fields = RowImage.fields(bytes.span, range(row))
        guard mark < fields.count, let field = fields[mark] else { return false }
        return plan.columns[mark].type == .bool ? bytes[field.lowerBound] != 0 : true
    }
}
