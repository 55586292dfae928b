import Crypto
package import Mongo
import Runtime

/// What one read of the source gave: row images in the order of `_id`, and what could not become one.
package struct SourcePage: Sendable {
    /// A document whose `_id` no key column value can hold.
    package struct Unkeyable: Sendable, Equatable {
        /// The `_id` in words: its type, and its value where that is an id.
        let identifier: String
        let rejection: FieldRejection

        init(_ id: IDPosition?, _ rejection: FieldRejection) {
            identifier = "\(id.map { "\($0.type)" } ?? "no") _id \(id.map { SourcePage.hex($0.bytes) } ?? "")"
            self.rejection = rejection
        }
    }

    package var rows = RowBatch()
    /// Rows (by index) whose image holds only the key, with the reason.
    package var rejections: [Int: FieldRejection] = [:]
    package var unkeyable: [Unkeyable] = []
    /// The `_id` of each row, where the builder keeps them.
    var ids: [IDPosition] = []
    /// Documents read, whatever became of them.
    package var documents = 0
    package var sourceBytes = 0
    package var lastID: IDPosition?
    /// The moment before the server was asked: what the page holds is not older. Nil where nobody asks.
    var asOf: ContinuousClock.Instant?

    package init() {}

    /// Whether every document was read when the chunk's snapshot stood already.
    func isBehind(_ chunk: TargetChunk) -> Bool { asOf.map { $0 >= chunk.asOf } ?? false }

    /// Makes documents unkeyable that had a row each.
    mutating func refuse(_ refused: Set<Int>, _ reason: FieldRejection.Reason) {
        guard !refused.isEmpty else { return }
        let kept = (0..<rows.count).filter { !refused.contains($0) }
        for row in refused.sorted() { unkeyable.append(Unkeyable(ids[row], FieldRejection(reason))) }
        rejections = Dictionary(
            uniqueKeysWithValues: kept.enumerated().compactMap { now, row in rejections[row].map { (now, $0) } }
        )
        rows = kept.reduce(into: RowBatch()) { $0.append(rows.image($1)) }
        ids = kept.map { ids[$0] }
    }

    /// What is longer than 32 bytes has its digest for the rest, so that no two ids are written alike.
    fileprivate static func hex(_ value: [UInt8]) -> String {
        var text: [UInt8] = []
        HexText.append(value.span, 0..<min(value.count, 32), to: &text)
        if value.count > 32 {
            text += Array("… ".utf8)
            let digest = Array(SHA256.hash(data: value))
            HexText.append(digest.span, 0..<8, to: &text)
        }
        return String(decoding: text, as: UTF8.self)
    }
}

/// An `_id` as it stood in its document: where a keyset page ended.
package struct IDPosition: Sendable, Equatable {
    package let type: BSONType
    package let bytes: [UInt8]

    package init(type: BSONType, bytes: [UInt8]) {
        self.type = type
        self.bytes = bytes
    }

    init(_ element: BSONElement, of document: Span<UInt8>) {
        type = element.type
        bytes = Array(document, element.value)
    }

    package var bracket: IDBracket? { IDBracket(type) }
}

// Handed to one `find` at a time, which calls it on its session's thread; the page is taken only after `find` returned.
/// Collects a page while its documents pass by.
package final class SourcePageBuilder: @unchecked Sendable {
    // One value, so that the runtime watches over one access for a whole reply and not over some for each document.
    private var state: PageState

    /// - Parameter keepsIDs: pages tell the `_id` of each row too.
    package init(plan: ColumnPlan, keepsIDs: Bool = false) {
        state = PageState(encoder: RowEncoder(plan: plan), keepsIDs: keepsIDs)
    }

    /// Encodes a document; one that cannot be a row is noted with its reason.
    package func add(_ document: Span<UInt8>) {
        state.encode(document)
        state.keepID(document)
    }

    /// Encodes the documents of a BSON array in their order, until the page holds `bytesMax` or more.
    ///
    /// Throws `.recordMalformed` for bytes that are no array of documents.
    package func add(array: Span<UInt8>, bytesMax: Int = .max) throws {
        try state.add(array, bytesMax)
    }

    /// The page so far; the builder begins a new one.
    package func take(asOf: ContinuousClock.Instant? = nil) -> SourcePage {
        var page = state.take()
        page.asOf = asOf
        return page
    }
}

private struct PageState: ~Copyable {
    private var encoder: RowEncoder
    private var page = SourcePage()

    private let keepsIDs: Bool

    init(encoder: consuming RowEncoder, keepsIDs: Bool) {
        self.encoder = encoder
        self.keepsIDs = keepsIDs
    }

    mutating func add(_ array: Span<UInt8>, _ bytesMax: Int) throws {
        var last: Range<Int>?
        try BSONWalk.elements(of: array) { element in
            guard case .document = element.type else { throw Self.malformed }
            encode(array.extracting(element.value))
            last = element.value
            return page.sourceBytes < bytesMax
        }
        if let last { keepID(array.extracting(last)) }
    }

    private static let malformed = TallyError(
        .recordMalformed,
        during: "sync.page",
        "the reply to a find holds something else than documents"
    )

    mutating func encode(_ document: Span<UInt8>) {
        page.documents += 1
        page.sourceBytes += document.count
        do {
            try page.rows.appendRow { out throws(FieldRejection) in try encoder.append(document, to: &out) }
        } catch {
            addRejected(document, error)
        }
        if keepsIDs { keepRowID(document) }
    }

    /// Of a document that has a row: one without a key has none.
    private mutating func keepRowID(_ document: Span<UInt8>) {
        guard page.ids.count < page.rows.count, let id = RowEncoder.identifier(of: document) else { return }
        page.ids.append(IDPosition(id, of: document))
    }

    mutating func keepID(_ document: Span<UInt8>) {
        guard let identifier = RowEncoder.identifier(of: document) else { return }
        page.lastID = IDPosition(identifier, of: document)
    }

    private mutating func addRejected(_ document: Span<UInt8>, _ rejection: FieldRejection) {
        do {
            try page.rows.appendRow { out throws(FieldRejection) in try encoder.appendKeyOnly(document, to: &out) }
            page.rejections[page.rows.count - 1] = rejection
        } catch {
            let identifier = RowEncoder.identifier(of: document).map { IDPosition($0, of: document) }
            page.unkeyable.append(.init(identifier, error))
        }
    }

    mutating func take() -> SourcePage {
        let taken = page
        page = SourcePage()
        // The next page is mostly as large as this one.
        let bytes = taken.rows.bytes.count
        page.rows = RowBatch(reserving: bytes + bytes / 16, rows: taken.rows.count + 16)
        return taken
    }
}
