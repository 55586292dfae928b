import Crypto
package import Mongo

/// What one read of the source gave: row images in the order of `_id`, and what could not become one.
package struct SourcePage: Sendable {
    /// A document whose `_id` no key column value can hold.
    package struct Unkeyable: Sendable, Equatable {
        /// The `_id` in words: its type, and its value where that is an id.
        let identifier: String
        let rejection: FieldRejection
    }

    package var rows = RowBatch()
    /// Rows (by index) whose image holds only the key, with the reason.
    package var rejections: [Int: FieldRejection] = [:]
    package var unkeyable: [Unkeyable] = []
    /// Documents read, whatever became of them.
    package var documents = 0
    package var sourceBytes = 0
    package var lastID: IDPosition?

    package init() {}
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
    private var encoder: RowEncoder
    private var page = SourcePage()
    private var lastType: BSONType?
    private var lastID: [UInt8] = []

    package init(plan: ColumnPlan) {
        encoder = RowEncoder(plan: plan)
    }

    var sourceBytes: Int { page.sourceBytes }

    /// Encodes a document; one that cannot be a row is noted with its reason.
    package func add(_ document: Span<UInt8>) {
        page.documents += 1
        page.sourceBytes += document.count
        do {
            try page.rows.appendRow { out throws(FieldRejection) in try encoder.append(document, to: &out) }
            keepID(encoder.lastIdentifier, document)
        } catch {
            let identifier = RowEncoder.identifier(of: document)
            keepID(identifier, document)
            addRejected(document, identifier, error)
        }
    }

    /// Into the same few bytes each time: only the last document's `_id` is asked for.
    private func keepID(_ identifier: BSONElement?, _ document: Span<UInt8>) {
        guard let identifier else { return }
        lastType = identifier.type
        lastID.removeAll(keepingCapacity: true)
        lastID.append(document, identifier.value)
    }

    private func addRejected(_ document: Span<UInt8>, _ identifier: BSONElement?, _ rejection: FieldRejection) {
        do {
            try page.rows.appendRow { out throws(FieldRejection) in try encoder.appendKeyOnly(document, to: &out) }
            page.rejections[page.rows.count - 1] = rejection
        } catch {
            let type = identifier.map { "\($0.type)" } ?? "no"
            let hex = identifier.map { Self.hex(Array(document, $0.value)) }
            page.unkeyable.append(.init(identifier: "\(type) _id \(hex ?? "")", rejection: error))
        }
    }

    /// What is longer than 32 bytes has its digest for the rest, so that no two ids are written alike.
    private static func hex(_ value: [UInt8]) -> String {
        var text: [UInt8] = []
        HexText.append(value.span, 0..<min(value.count, 32), to: &text)
        if value.count > 32 {
            text += Array("… ".utf8)
            let digest = Array(SHA256.hash(data: value))
            HexText.append(digest.span, 0..<8, to: &text)
        }
        return String(decoding: text, as: UTF8.self)
    }

    /// The page so far; the builder begins a new one.
    package func take() -> SourcePage {
        defer {
            let last = page.rows
            page = SourcePage()
            // The next page is mostly as large as this one.
            page.rows = RowBatch(reserving: last.bytes.count + last.bytes.count / 16, rows: last.count + 16)
            lastType = nil
        }
        page.lastID = lastType.map { IDPosition(type: $0, bytes: lastID) }
        return page
    }
}
