import Foundation
package import Runtime

/// The API's description, held against answers: status, media type, body.
package struct OpenAPIContract: Sendable {
    package struct Operation: Sendable, Hashable {
        package let method: String
        package let path: String
    }

    /// One answer as a client saw it.
    package struct Answer: Sendable {
        package let status: Int
        /// Without its parameters.
        package let mediaType: String?
        package let body: [UInt8]

        package init(status: Int, contentType: String?, body: [UInt8]) {
            self.status = status
            mediaType = contentType?.split(separator: ";").first.map { $0.filter { $0 != " " } }
            self.body = body
        }
    }

    private let document: JSONValue
    private let schema: JSONSchema

    package init(document: JSONValue) {
        self.document = document
        schema = JSONSchema(document: document)
    }

    /// Every operation described, in a fixed order.
    package var operations: [Operation] {
        (document["paths"]?.object ?? [:]).flatMap { path, methods in
            (methods.object ?? [:]).keys.map { Operation(method: $0.uppercased(), path: path) }
        }
        .sorted { ($0.path, $0.method) < ($1.path, $1.method) }
    }

    /// The statuses an operation may answer with.
    package func statuses(of operation: Operation) -> Set<Int> {
        Set((description(operation)?["responses"]?.object ?? [:]).keys.compactMap { Int($0) })
    }

    private func description(_ operation: Operation) -> JSONValue? {
        document["paths"]?[operation.path]?[operation.method.lowercased()]
    }

    /// The operation a request belongs to: literal segments before parameters. Nil when none is described.
    package func operation(_ method: String, _ path: String) -> Operation? {
        let wanted = method == "HEAD" ? "GET" : method
        let parts = path.prefix { $0 != "?" }.split(separator: "/", omittingEmptySubsequences: false)
        return operations.filter { $0.method == wanted && Self.matches($0.path, parts) }
            .min { $0.path.filter { $0 == "{" }.count < $1.path.filter { $0 == "{" }.count }
    }

    private static func matches(_ pattern: String, _ parts: [Substring]) -> Bool {
        let segments = pattern.split(separator: "/", omittingEmptySubsequences: false)
        guard segments.count == parts.count else { return false }
        return zip(segments, parts).allSatisfy { $0.hasPrefix("{") ? !$1.isEmpty : $0 == $1 }
    }

    /// Every way in which an answer is not what the document says. A request to what is not described must have been
    /// answered with a problem document, or, for `OPTIONS`, with nothing.
    package func problems(_ method: String, _ path: String, _ answer: Answer) -> [String] {
        let about = "\(method) \(path.prefix { $0 != "?" }) → \(answer.status)"
        guard let operation = operation(method, path) else {
            if answer.status == 204 { return answer.body.isEmpty ? [] : ["\(about): 204 with a body"] }
            guard (400..<600).contains(answer.status) else { return ["\(about): described nowhere"] }
            let problem: JSONValue = [
                "application/problem+json": ["schema": ["$ref": "#/components/schemas/Problem"]]
            ]
            return bodyProblems(answer, problem, isHead: method == "HEAD").map { "\(about): \($0)" }
        }
        guard let response = description(operation)?["responses"]?["\(answer.status)"] else {
            return ["\(about): a status that is not described"]
        }
        let resolved = response["$ref"]?.string.flatMap { schema.resolve($0) } ?? response
        return bodyProblems(answer, resolved["content"] ?? [:], isHead: method == "HEAD").map { "\(about): \($0)" }
    }

    private func bodyProblems(_ answer: Answer, _ content: JSONValue, isHead: Bool) -> [String] {
        if content.object?.isEmpty != false { return answer.body.isEmpty ? [] : ["there is a body"] }
        guard let type = answer.mediaType, let media = content[type] else {
            return ["media type \(answer.mediaType ?? "none") is not described"]
        }
        guard !isHead, type.hasSuffix("json") else { return [] }
        guard let value = try? JSONDecoder().decode(JSONValue.self, from: Data(answer.body)) else {
            return ["the body is not JSON"]
        }
        return media["schema"].map { schema.problems(value, $0) } ?? ["no schema"]
    }
}
