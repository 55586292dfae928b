package import Engine
package import Runtime

/// The body of a request that starts a run, checked field by field.
package enum RunOptionsBody {
    package static let batchSizeRange = 1...100_000
    package static let daysBackRange = 1...3_660
    package static let batchDaysRange = 1...366
    private static let textMax = 200

    /// The options in `body`; an empty body means all defaults.
    ///
    /// - Throws: a 400 problem naming the field that is unknown, of the wrong type or out of range.
    package static func read(_ body: [UInt8], known: Set<RunOptionName>) throws -> RunOptions {
        guard body.contains(where: { !Self.isSpace($0) }) else { return RunOptions() }
        let value: JSONValue
        do {
            value = try JSONText.parse(body)
        } catch {
            throw Problem(
                .badRequest,
                status: 400,
                "The request is not valid",
                detail: "The body is not a JSON document."
            )
        }
        guard let members = value.object else {
            throw Problem(
                .badRequest,
                status: 400,
                "The request is not valid",
                detail: "The body must be a JSON object."
            )
        }
        return try read(members, known: known)
    }

    /// The options in `members`, checked as those of a body are.
    ///
    /// - Throws: the same problems.
    package static func read(_ members: [String: JSONValue], known: Set<RunOptionName>) throws -> RunOptions {
        var options = RunOptions()
        for (field, value) in members.sorted(by: { $0.key < $1.key }) {
            guard let name = RunOptionName(rawValue: field), known.contains(name) else {
                let names = known.map(\.rawValue).sorted().joined(separator: ", ")
                throw Problem.body(printable(field), "Unknown field \"\(printable(field))\"; known here: \(names).")
            }
            if value == .null { continue }
            switch name {
            case .dryRun: options.dryRun = try bool(value, field)
            case .batchSize: options.batchSize = try int(value, field, in: batchSizeRange)
            case .verify: options.verify = try bool(value, field)
            case .pipeline: options.pipeline = try text(value, field)
            case .stage: options.stage = try text(value, field)
            case .since: options.since = try text(value, field)
            case .until: options.until = try text(value, field)
            case .date: options.date = try text(value, field)
            case .startDate: options.startDate = try text(value, field)
            case .endDate: options.endDate = try text(value, field)
            case .definition: options.definition = try text(value, field)
            case .daysBack: options.daysBack = try int(value, field, in: daysBackRange)
            case .batchDays: options.batchDays = try int(value, field, in: batchDaysRange)
            case .backfill: options.backfill = try bool(value, field)
            case .full: options.full = try bool(value, field)
            case .fromBronze: options.fromBronze = try text(value, field)
            case .account: options.account = try text(value, field)
            }
        }
        return options
    }

    private static func bool(_ value: JSONValue, _ field: String) throws -> Bool {
        guard let bool = value.bool else { throw Problem.body(field, "\"\(field)\" must be true or false.") }
        return bool
    }

    private static func int(_ value: JSONValue, _ field: String, in range: ClosedRange<Int>) throws -> Int {
        guard let number = value.int, range.contains(number) else {
            let expected = "a whole number from \(range.lowerBound) to \(range.upperBound)"
            throw Problem.body(field, "\"\(field)\" must be \(expected).")
        }
        return number
    }

    private static func text(_ value: JSONValue, _ field: String) throws -> String {
        guard let text = value.string, !text.isEmpty, text.utf8.count <= textMax, !text.utf8.contains(0) else {
            throw Problem.body(field, "\"\(field)\" must be a text of 1 to \(textMax) bytes, without U+0000.")
        }
        return text
    }

    /// A field name as it may stand in an answer: short, and without control characters.
    private static func printable(_ field: String) -> String {
        String(
            String.UnicodeScalarView(field.unicodeScalars.filter { $0.value >= 0x20 && $0.value != 0x7F }.prefix(64))
        )
    }

    private static func isSpace(_ byte: UInt8) -> Bool {
        byte == 0x20 || byte == 0x09 || byte == 0x0A || byte == 0x0D
    }
}
