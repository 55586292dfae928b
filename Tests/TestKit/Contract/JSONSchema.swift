package import Runtime

/// Checks JSON values against schemas of an OpenAPI 3.1 document: the part of JSON Schema 2020-12 that ours uses.
///
/// A keyword it does not know is a problem too, so that no rule of a schema goes unchecked.
package struct JSONSchema: Sendable {
    private let document: JSONValue

    package init(document: JSONValue) {
        self.document = document
    }

    private static let annotations: Set<String> = ["description", "title", "examples", "default", "deprecated"]

    /// Every way in which `value` breaks `schema`, each with the place in the value.
    package func problems(_ value: JSONValue, _ schema: JSONValue, at place: String = "$") -> [String] {
        if let always = schema.bool { return always ? [] : ["\(place) must not be there"] }
        guard let keywords = schema.object else { return ["\(place): the schema is neither an object nor a truth"] }
        return keywords.sorted { $0.key < $1.key }.flatMap { keyword, rule -> [String] in
            if Self.annotations.contains(keyword) { return [] }
            return check(value, keyword, rule, keywords).map { "\(place)\($0)" }
        }
    }

    private func check(
        _ value: JSONValue,
        _ keyword: String,
        _ rule: JSONValue,
        _ schema: [String: JSONValue]
    ) -> [String] {
        switch keyword {
        case "$ref": return resolve(rule.string ?? "").map { problems(value, $0, at: "") } ?? [" has a dangling $ref"]
        case "type": return checkType(value, rule)
        case "const": return value == rule ? [] : [" is not \(rule.text)"]
        case "enum": return rule.array?.contains(value) == true ? [] : [" is none of \(rule.text)"]
        case "anyOf", "oneOf": return checkAlternatives(value, rule.array ?? [], isExclusive: keyword == "oneOf")
        case "allOf": return (rule.array ?? []).flatMap { problems(value, $0, at: "") }
        case "required", "properties", "additionalProperties": return checkObject(value, keyword, rule, schema)
        case "items":
            return (value.array ?? []).enumerated().flatMap { problems($0.element, rule, at: "[\($0.offset)]") }
        case "minimum", "maximum", "minLength", "maxLength", "minItems", "maxItems":
            return checkBound(value, keyword, rule.int ?? .min)
        case "pattern", "format": return checkText(value, keyword, rule.string ?? "")
        default: return [": the checker does not know the keyword \(keyword)"]
        }
    }

    /// What a reference into this document names.
    package func resolve(_ reference: String) -> JSONValue? {
        guard reference.hasPrefix("#/") else { return nil }
        return reference.dropFirst(2).split(separator: "/").reduce(JSONValue?.some(document)) { found, part in
            found?[String(part).replacing("~1", with: "/").replacing("~0", with: "~")]
        }
    }

    private func checkType(_ value: JSONValue, _ rule: JSONValue) -> [String] {
        let admitted = rule.string.map { [$0] } ?? (rule.array ?? []).compactMap(\.string)
        return admitted.contains { Self.has(value, type: $0) } ? [] : [" is not of type \(rule.text)"]
    }

    private static func has(_ value: JSONValue, type: String) -> Bool {
        switch (value, type) {
        case (.null, "null"), (.bool, "boolean"), (.int, "integer"), (.int, "number"), (.double, "number"),
            (.string, "string"), (.array, "array"), (.object, "object"):
            true
        case (.double(let number), "integer"): number == number.rounded()
        default: false
        }
    }

    private func checkAlternatives(_ value: JSONValue, _ schemas: [JSONValue], isExclusive: Bool) -> [String] {
        let all = schemas.map { problems(value, $0, at: "") }
        let matches = all.filter(\.isEmpty).count
        if isExclusive, matches > 1 { return [" fits \(matches) alternatives where one is allowed"] }
        return matches > 0 ? [] : [" fits no alternative: \(all.flatMap(\.self).joined(separator: "; "))"]
    }

    private func checkObject(
        _ value: JSONValue,
        _ keyword: String,
        _ rule: JSONValue,
        _ schema: [String: JSONValue]
    ) -> [String] {
        guard let members = value.object else { return [] }
        switch keyword {
        case "required":
            return (rule.array ?? []).compactMap(\.string).filter { members[$0] == nil }.map { " lacks \"\($0)\"" }
        case "properties":
            return members.sorted { $0.key < $1.key }.flatMap { name, member in
                rule[name].map { problems(member, $0, at: ".\(name)") } ?? []
            }
        default:
            let named = schema["properties"]?.object ?? [:]
            return members.filter { named[$0.key] == nil }.sorted { $0.key < $1.key }
                .flatMap { problems($0.value, rule, at: ".\($0.key)") }
        }
    }

    private func checkBound(_ value: JSONValue, _ keyword: String, _ bound: Int) -> [String] {
        let measured: Double? =
            switch (value, keyword) {
            case (.int(let number), "minimum"), (.int(let number), "maximum"): Double(number)
            case (.double(let number), "minimum"), (.double(let number), "maximum"): number
            case (.string(let text), "minLength"), (.string(let text), "maxLength"): Double(text.unicodeScalars.count)
            case (.array(let items), "minItems"), (.array(let items), "maxItems"): Double(items.count)
            default: nil
            }
        guard let measured else { return [] }
        let isWithin = keyword.hasPrefix("min") ? measured >= Double(bound) : measured <= Double(bound)
        return isWithin ? [] : [" breaks \(keyword) \(bound)"]
    }

    private func checkText(_ value: JSONValue, _ keyword: String, _ rule: String) -> [String] {
        guard let text = value.string else { return [] }
        let expression: String
        switch (keyword, rule) {
        case ("pattern", _): expression = rule
        case ("format", "date-time"):
            expression = #"^\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d(\.\d+)?(Z|[+-]\d\d:\d\d)$"#
        case ("format", "uuid"): expression = "^[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}$"
        default: return [": the checker does not know the format \(rule)"]
        }
        guard let regex = try? Regex(expression) else { return [": \(expression) is no pattern"] }
        return text.firstMatch(of: regex) == nil ? [" does not match \(rule)"] : []
    }
}
