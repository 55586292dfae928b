import Engine
import Foundation
import Mongo
import Postgres
package import Runtime

/// Compares given keys by looking them up on both sides; what the merge cannot settle is settled here.
///
/// Used to look again at a difference before it is reported or repaired, and for collections whose `_id` types share
/// no order with the target's key.
package struct KeyedComparison: Sendable {
    let source: SourceReader
    let target: TargetReader
    let plan: ColumnPlan

    package init(source: SourceReader, target: TargetReader, plan: ColumnPlan) {
        self.source = source
        self.target = target
        self.plan = plan
    }

    /// Keys looked up in one query.
    static let keysMax = 1_000

    /// Reads both sides again for `keys` and classifies each as it stands now.
    ///
    /// The source is read first: a product that arrives on both sides in between shows up as a target row whose
    /// document was not seen, and is left to the next run only if it is still unseen.
    package func again(_ keys: [[UInt8]]) async throws -> Findings {
        var findings = Findings()
        for start in stride(from: 0, to: keys.count, by: Self.keysMax) {
            let part = Array(keys[start..<min(keys.count, start + Self.keysMax)])
            let documents = try await documents(part)
            let rows = try await target.rows(part)
            for key in part { classify(key, documents[key], rows[key], into: &findings) }
        }
        return findings
    }

    /// Reads the source again for the keys of `rows` and classifies each beside the target's row as given.
    package func sourceAgain(_ rows: RowBatch, beside target: RowBatch) async throws -> Findings {
        var findings = Findings()
        let keys = rows.keys
        for start in stride(from: 0, to: keys.count, by: Self.keysMax) {
            let part = start..<min(keys.count, start + Self.keysMax)
            let documents = try await documents(Array(keys[part]))
            for row in part { classify(keys[row], documents[keys[row]], target.image(row), into: &findings) }
        }
        return findings
    }

    /// INV-5: the page without the documents whose key another one has that comes before them; those are unkeyable.
    ///
    /// Two `_id`s of one key are of two types, so of two pages, or two spellings of one UUID. Ids are looked up where
    /// the key may have one that comes before: for most collections none are.
    package func withoutRepeated(_ page: SourcePage) async throws -> SourcePage {
        let keys = page.rows.keys
        var repeated: Set<Int> = []
        for start in stride(from: 0, to: keys.count, by: Self.keysMax) {
            let part = start..<min(keys.count, start + Self.keysMax)
            var ids: [IDValue] = []
            for row in part {
                var candidates: [IDValue] = []
                plan.key.appendCandidates(keys[row], to: &candidates)
                if let own = page.ids[row].bracket { candidates.removeAll { $0.bracket > own } }
                if candidates.count > 1 { ids += candidates }
            }
            let found = Dictionary(grouping: try await source.identifiers(ids), by: \.key)
            // A document that is gone by now is not among those found.
            for row in part where (found[keys[row]]?.firstIndex { $0.id == page.ids[row] } ?? 0) > 0 {
                repeated.insert(row)
            }
        }
        var page = page
        page.refuse(repeated, .duplicateKey)
        return page
    }

    /// A page of the source against the target's rows of the same keys.
    package func page(_ page: SourcePage) async throws -> Findings {
        var findings = Findings()
        findings.mayBeOutrun = true
        let keys = page.rows.keys
        for start in stride(from: 0, to: keys.count, by: Self.keysMax) {
            let part = Array(keys[start..<min(keys.count, start + Self.keysMax)])
            let rows = try await target.rows(part)
            for (offset, key) in part.enumerated() {
                let row = start + offset
                let document = page.rejections[row].map { Document.rejected($0) } ?? .image(page.rows.image(row))
                classify(key, document, rows[key], into: &findings)
            }
        }
        return findings
    }

    /// The keys among `keys` that no document has.
    package func absent(_ keys: [[UInt8]]) async throws -> Set<[UInt8]> {
        var absent: Set<[UInt8]> = []
        for start in stride(from: 0, to: keys.count, by: Self.keysMax) {
            let part = Array(keys[start..<min(keys.count, start + Self.keysMax)])
            let documents = try await documents(part)
            absent.formUnion(part.filter { documents[$0] == nil })
        }
        return absent
    }

    /// The documents of `keys` as JSON, read anew, for dead letters that keep them; what JSON cannot say is left out.
    package func payloads(_ keys: [[UInt8]]) async throws -> [[UInt8]: JSONValue] {
        var found: [[UInt8]: JSONValue] = [:]
        for start in stride(from: 0, to: keys.count, by: Self.keysMax) {
            var ids: [IDValue] = []
            for key in keys[start..<min(keys.count, start + Self.keysMax)] {
                plan.key.appendCandidates(key, to: &ids)
            }
            for (key, document) in try await source.originals(ids) {
                guard found[key] == nil, let text = try? BSONExtJSON.text(of: document) else { continue }
                found[key] = try? JSONDecoder().decode(JSONValue.self, from: Data(text.utf8))
            }
        }
        return found
    }

    private enum Document {
        case image([UInt8])
        case rejected(FieldRejection)
    }

    /// Of the documents of one key the first; the others are dead letters of the page they are of.
    private func documents(_ keys: [[UInt8]]) async throws -> [[UInt8]: Document] {
        var ids: [IDValue] = []
        for key in keys { plan.key.appendCandidates(key, to: &ids) }
        let page = try await source.documents(ids)
        var found: [[UInt8]: Document] = [:]
        for row in 0..<page.rows.count {
            let key = Array(page.rows.key(row))
            guard found[key] == nil else { continue }
            found[key] = page.rejections[row].map { .rejected($0) } ?? .image(page.rows.image(row))
        }
        return found
    }

    private func classify(_ key: [UInt8], _ document: Document?, _ row: [UInt8]?, into findings: inout Findings) {
        switch (document, row) {
        case (.rejected(let rejection), _):
            findings.reject(key, rejection)
        case (.image(let image), nil): findings.missing.append(image)
        case (.image(let image), let row?):
            if MergeStep.same(image.span, 0..<image.count, row.span, 0..<row.count, plan) {
                findings.unchanged += 1
                findings.unchangedKeys.append(key)
            } else {
                findings.staleSource.append(image)
                findings.staleTarget.append(row)
            }
        case (nil, let row?): findings.orphaned.append(row)
        case (nil, nil): break
        }
    }
}
