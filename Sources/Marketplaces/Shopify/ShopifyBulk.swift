import Foundation
import Runtime
import Synchronization

/// Bulk operations of one shop: started, waited for, downloaded to disk and read in pieces.
final class ShopifyBulk: Sendable {
    struct Group {
        let root: WireJSON
        var children: [WireJSON]
    }
    struct Page {
        let groups: [Group]
        /// Where the next page begins; nil behind the last.
        let next: Int?
        /// False for what was rescued of an operation that failed.
        let isComplete: Bool
    }
    private struct Result {
        let file: URL
        let isComplete: Bool
    }

    /// Lines of a page; a group is never cut.
    private static let pageLines = 500
    private static let lineBytesMax = 4 << 20

    private let client: ShopifyClient
    private let results = Mutex<[String: Result]>([:])

    init(client: ShopifyClient) {
        self.client = client
    }

    deinit {
        for result in results.withLock({ Array($0.values) }) { try? FileManager.default.removeItem(at: result.file) }
    }

    /// Starts an operation and gives its id; one that is running already is waited for.
    ///
    /// Throws `PullPaused` when that takes longer than the run may.
    func start(_ query: ShopifyBulkQuery, until: Date?) async throws -> String {
        var pause = 2
        while true {
            let answer = try await client.send(.bulkRun, ["query": .string(query.document(until: until))])
            let payload = answer["bulkOperationRunQuery"]
            if let id = payload["bulkOperation"]["id"].string { return id }
            let codes = (payload["userErrors"].array ?? []).compactMap { $0["code"].string }
            guard codes.contains("OPERATION_IN_PROGRESS") || codes.contains("LIMIT_REACHED") else {
                throw TallyError(
                    .protocolViolation,
                    during: "shopify.bulk",
                    "Shopify refuses a bulk operation\(codes.isEmpty ? "" : " with \(codes.joined(separator: ", "))")"
                )
            }
            try await client.wait(.seconds(pause), for: "bulk operation of another app")
            pause = min(30, pause * 2)
        }
    }

    /// The groups from byte `offset` of the operation's result on; waits for the operation first.
    ///
    /// Throws `.sourceUnreachable`, which is retried, when the result does not hold as many lines as Shopify counted:
    /// nothing of it has then been handed out.
    func page(_ id: String, from offset: Int) async throws -> Page {
        let result: Result
        if let known = results.withLock({ $0[id] }) { result = known } else { result = try await fetch(id) }
        guard let handle = try? FileHandle(forReadingFrom: result.file) else {
            return Page(groups: [], next: nil, isComplete: false)
        }
        defer { try? handle.close() }
        var reader = try LineReader(handle, from: offset)
        var groups: [Group] = []
        var next = offset
        var lines = 0
        while let line = try reader.next(allowsCut: !result.isComplete) {
            let json = try WireJSON(parsing: line)
            if let parent = json["__parentId"].string {
                guard let last = groups.indices.last, groups[last].root["id"].string == parent else {
                    throw TallyError(.protocolViolation, during: "shopify.bulk", "a child does not follow its parent")
                }
                groups[last].children.append(json)
            } else {
                if lines >= Self.pageLines { return Page(groups: groups, next: next, isComplete: result.isComplete) }
                groups.append(Group(root: json, children: []))
            }
            lines += 1
            next = reader.offset
        }
        results.withLock { $0[id] = nil }
        try? FileManager.default.removeItem(at: result.file)
        return Page(groups: groups, next: nil, isComplete: result.isComplete)
    }

    private func fetch(_ id: String) async throws -> Result {
        var pause = 1
        while true {
            let state = try await client.send(.bulkState, ["id": .string(id)])["bulkOperation"]
            switch state["status"].string {
            case "COMPLETED": return try await download(id, state, state["url"], isComplete: true)
            case "CREATED", "RUNNING", "CANCELING":
                try await client.wait(.seconds(pause), for: "bulk operation")
                pause = min(30, pause * 2)
            default: return try await download(id, state, state["partialDataUrl"], isComplete: false)
            }
        }
    }

    private func download(_ id: String, _ state: WireJSON, _ address: WireJSON, isComplete: Bool) async throws
        -> Result
    {
        let name = "tallyman-bulk-\(UUID().uuidString).jsonl"
        let file = FileManager.default.temporaryDirectory.appending(path: name)
        if let url = address.string.flatMap({ URL(string: $0) }) {
            do {
                try await client.download(url, to: file)
                try Self.check(file, state, isComplete: isComplete)
            } catch {
                try? FileManager.default.removeItem(at: file)
                throw error
            }
        } else {
            // An operation that found nothing has no address.
            guard state["objectCount"].int ?? 0 == 0 || !isComplete else { throw Self.short }
            guard FileManager.default.createFile(atPath: file.path(), contents: Data()) else { throw Self.noDisk }
        }
        let result = Result(file: file, isComplete: isComplete)
        results.withLock { $0[id] = result }
        return result
    }

    /// Holds the lines against `objectCount` before any of them is used.
    private static func check(_ file: URL, _ state: WireJSON, isComplete: Bool) throws {
        guard isComplete else { return }
        let handle = try FileHandle(forReadingFrom: file)
        defer { try? handle.close() }
        var reader = try LineReader(handle, from: 0)
        var count = 0
        while try reader.skip() { count += 1 }
        guard count == state["objectCount"].int else { throw short }
    }

    private static var short: TallyError {
        TallyError(
            .sourceUnreachable,
            during: "shopify.bulk",
            "a bulk result does not hold as many objects as Shopify counted"
        )
    }
    private static var noDisk: TallyError {
        TallyError(.unknown, during: "shopify.bulk", "the temporary folder cannot be written")
    }

    /// Lines of a file, piece by piece.
    private struct LineReader {
        private let handle: FileHandle
        private var buffer: [UInt8] = []
        private var at = 0
        private var isAtEnd = false
        /// Bytes of the file before the next line.
        private(set) var offset: Int

        init(_ handle: FileHandle, from offset: Int) throws {
            self.handle = handle
            self.offset = offset
            try handle.seek(toOffset: UInt64(offset))
        }

        private mutating func fill() throws {
            buffer.removeFirst(at)
            at = 0
            let piece = try handle.read(upToCount: 1 << 16) ?? Data()
            isAtEnd = piece.isEmpty
            buffer.append(contentsOf: piece)
            guard buffer.count < ShopifyBulk.lineBytesMax else {
                throw TallyError(.limitExceeded, during: "shopify.bulk", "a line of a bulk result is too long")
            }
        }

        /// The bounds of the next line that is not empty, its break included.
        private mutating func bounds() throws -> (line: Range<Int>, end: Int)? {
            var searched = at
            while true {
                if let end = buffer[searched...].firstIndex(of: 0x0A) {
                    defer {
                        offset += end + 1 - at
                        at = end + 1
                    }
                    if end > at { return (at..<end, end + 1) }
                    searched = end + 1
                    continue
                }
                searched = buffer.count - at
                if isAtEnd {
                    guard at < buffer.count else { return nil }
                    defer {
                        offset += buffer.count - at
                        at = buffer.count
                    }
                    return (at..<buffer.count, buffer.count)
                }
                try fill()
            }
        }

        /// nil at the end; with `allowsCut` a last line that is no JSON counts as the end.
        mutating func next(allowsCut: Bool) throws -> [UInt8]? {
            guard let bounds = try bounds() else { return nil }
            let line = Array(buffer[bounds.line])
            if allowsCut, bounds.line.upperBound == bounds.end, (try? WireJSON(parsing: line)) == nil { return nil }
            return line
        }

        mutating func skip() throws -> Bool { try bounds() != nil }
    }
}
