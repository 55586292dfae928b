import Engine
import Foundation
import Runtime

/// `GET_MERCHANT_LISTINGS_ALL_DATA`: every listing of a seller in one marketplace, as tab-separated text.
struct AmazonListingsReport {
    struct Entry: Sendable, Equatable {
        let sku: String
        let asin: String?
    }

    private static let pageRows = 10_000
    /// More than this is no report of listings (INV-8).
    private static let bytesMax = 8 << 30

    let client: AmazonClient
    let marketplace: AmazonMarketplace
    let retrying: PullRetrying

    /// Hands out the report's rows, some at a time; the document is streamed from disk.
    ///
    /// Throws `.sourceUnreachable` when Amazon ends the report without a document, `PullPaused` when it takes longer
    /// than the run may, `.protocolViolation` for a document without the columns we count on. Rows may then have been
    /// handed out.
    func read(_ take: ([Entry]) async throws -> Void) async throws {
        let address = try await document()
        let folder = FileManager.default.temporaryDirectory
        let name = "tallyman-\(UUID().uuidString)"
        let (sent, plain) = (folder.appending(path: name), folder.appending(path: name + ".txt"))
        defer { for file in [sent, plain] { try? FileManager.default.removeItem(at: file) } }
        try await retrying { try await client.download(address.url, to: sent) }
        if address.isCompressed { try Self.unpack(sent, to: plain) }
        let handle = try FileHandle(forReadingFrom: address.isCompressed ? plain : sent)
        defer { try? handle.close() }
        var table = ReportTable()
        while let piece = try handle.read(upToCount: 65_536), !piece.isEmpty {
            try table.take(Array(piece))
            if table.entries.count >= Self.pageRows { try await take(table.drain()) }
        }
        try table.end()
        try await take(table.drain())
    }

    private static func unpack(_ file: URL, to plain: URL) throws {
        let source = try FileHandle(forReadingFrom: file)
        defer { try? source.close() }
        guard FileManager.default.createFile(atPath: plain.path(), contents: nil) else {
            throw TallyError(.unknown, during: "amazon.report", "the temporary folder cannot be written")
        }
        let target = try FileHandle(forWritingTo: plain)
        defer { try? target.close() }
        var written = 0
        var inflate = Inflate { Array(try source.read(upToCount: 65_536) ?? Data()) }
        try inflate.run {
            written += $0.count
            guard written <= bytesMax else {
                throw TallyError(.limitExceeded, during: "amazon.report", "the listings report is too long")
            }
            try target.write(contentsOf: Data($0))
        }
    }

    private func document() async throws -> (url: URL, isCompressed: Bool) {
        let made = try await retrying {
            try await client.get(
                .createReport,
                body: [
                    "reportType": "GET_MERCHANT_LISTINGS_ALL_DATA",
                    "marketplaceIds": .array([.string(marketplace.id)]),
                ]
            )
        }
        guard let report = made["reportId"].string else {
            throw TallyError(.protocolViolation, during: "amazon.report", "a report has no id")
        }
        var pause = 5
        while true {
            let state = try await retrying { try await client.get(.getReport, id: report) }
            switch state["processingStatus"].string {
            case "DONE":
                guard let id = state["reportDocumentId"].string else { throw Self.withoutDocument }
                let document = try await retrying { try await client.get(.getReportDocument, id: id) }
                guard let url = document["url"].string.flatMap({ URL(string: $0) }) else { throw Self.withoutDocument }
                return (url, document["compressionAlgorithm"].string == "GZIP")
            case "IN_QUEUE", "IN_PROGRESS":
                try await client.wait(.seconds(pause), for: "report")
                pause = min(60, pause * 2)
            default: throw Self.withoutDocument
            }
        }
    }

    private static var withoutDocument: TallyError {
        TallyError(.sourceUnreachable, during: "amazon.report", "Amazon ended the listings report without a document")
    }
}

/// Reads a tab-separated table in pieces; only two columns are kept.
private struct ReportTable {
    private var rest: [UInt8] = []
    private var columns: (sku: Int, asin: Int?)?
    private(set) var entries: [AmazonListingsReport.Entry] = []

    mutating func take(_ piece: [UInt8]) throws {
        rest += piece
        var start = 0
        while let end = rest[start...].firstIndex(of: 0x0A) {
            try line(rest[start..<end])
            start = end + 1
        }
        rest.removeFirst(start)
        guard rest.count < 1 << 20 else { throw Self.unusable }
    }

    mutating func end() throws {
        if !rest.isEmpty { try line(rest[...]) }
        guard columns != nil else { throw Self.unusable }
    }

    /// The rows read so far, which are then forgotten.
    mutating func drain() -> [AmazonListingsReport.Entry] {
        defer { entries.removeAll(keepingCapacity: true) }
        return entries
    }

    /// SKU and ASIN are ASCII in every of the encodings that Amazon uses by marketplace.
    private mutating func line(_ bytes: ArraySlice<UInt8>) throws {
        let fields = bytes.split(separator: 0x09, omittingEmptySubsequences: false).map { field in
            String(decoding: field, as: UTF8.self).trimmingCharacters(in: .whitespacesAndNewlines)
        }
        guard let columns else {
            let names = fields.map { $0.trimmingCharacters(in: ["\u{FEFF}", "\""]) }
            // Japan's report heads its columns in Japanese, in the same places.
            guard fields.count > 3 else { throw Self.unusable }
            columns = (names.firstIndex(of: "seller-sku") ?? 3, names.firstIndex(of: "asin1"))
            return
        }
        guard fields.count > columns.sku, !fields[columns.sku].isEmpty else {
            guard bytes.allSatisfy({ $0 <= 0x20 }) else { throw Self.unusable }
            return
        }
        let asin = columns.asin.flatMap { $0 < fields.count ? fields[$0] : nil }.flatMap { $0.isEmpty ? nil : $0 }
        entries.append(AmazonListingsReport.Entry(sku: fields[columns.sku], asin: asin))
    }

    private static var unusable: TallyError {
        TallyError(.protocolViolation, during: "amazon.report", "the listings report is not the table it should be")
    }
}
