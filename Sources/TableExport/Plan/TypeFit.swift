/// How a value of one type becomes one of another on the way to the target.
enum TypeFit: Sendable, Equatable {
    /// The same built-in type: its binary form passes as it is.
    case binary
    /// A cast on the source server that loses nothing makes it the target's built-in type.
    case cast(String)
    /// The text form passes: types of users, and types whose binary form holds numbers of one server's objects.
    case text
    /// It would lose something, or means nothing: only an explicit cast in the definition may do it.
    case unfit
}

extension TypeFit {
    static func of(_ source: TypeShape, to target: TypeShape) -> TypeFit {
        if source.oid == target.oid, source.isBuiltIn, target.isBuiltIn {
            return hasPortableBinary(source) ? .binary : .text
        }
        if textual.contains(source.oid), textual.contains(target.oid) { return .binary }
        // `character` alone is `character(1)` in a cast and cuts; `bpchar` is the same type without a length.
        if target.oid == 1042 { return .cast("bpchar") }
        if textual.contains(target.oid), target.isBuiltIn { return .cast(target.name) }
        if lossless[source.oid]?.contains(target.oid) == true { return .cast(target.name) }
        if !target.isBuiltIn || !source.isBuiltIn {
            let sameName = source.bareName == target.bareName
            return sameName || source.category == "S" || target.category == "S" ? .text : .unfit
        }
        return .unfit
    }

    /// Object numbers (`regclass` and its kin) differ between servers; `aclitem` has no binary form.
    private static func hasPortableBinary(_ type: TypeShape) -> Bool {
        !(type.bareName.hasPrefix("reg") || type.bareName.hasPrefix("aclitem"))
    }

    /// Whether two values of the source that differ still do as the target's type, where a cast brings them there.
    static func keepsDistinct(_ source: TypeShape, as target: TypeShape) -> Bool {
        switch source.oid {
        case 20, 21, 23: [20, 21, 23, 1700].contains(target.oid) || textual.contains(target.oid)
        case 2950: textual.contains(target.oid)
        default: false
        }
    }

    /// `text`, `varchar`, `char(n)`, `name`-less: one form on the wire.
    private static let textual: Set<UInt32> = [25, 1043, 1042]

    /// Pairs of built-in types where every value of the first is one of the second. Times without a zone are UTC.
    private static let lossless: [UInt32: Set<UInt32>] = [
        21: [23, 20, 1700, 700, 701],
        23: [20, 1700, 701],
        20: [1700],
        700: [701],
        1082: [1114, 1184],
        1114: [1184],
        1184: [1114],
        114: [3802],
        3802: [114],
        650: [869],
        19: [25, 1043],
        26: [20],
        16: [25],
    ]
}
