package import Foundation

/// How one pipeline of a source is read.
package struct PipelinePlan: Sendable {
    /// nil for products and listings.
    package var documents: DocumentRecord.Kind?
    /// How far before the watermark reading begins again: rows may become visible late.
    package var overlap: Duration
    /// What is read the first time; nil reads all there is.
    package var firstLookback: Duration?
    /// Longer reads are cut into windows of this length.
    package var windowMax: Duration?
    /// How long a page token stays good; nil when a cut read begins its window again.
    package var resumableFor: Duration?
    /// Late changes: reading goes back `depth` when the last such reading is older than `every`.
    package var deepReads: [DeepRead] = []
    /// Whether a sweep over everything finds what was deleted.
    package var sweeps = false

    package struct DeepRead: Sendable {
        package let name: String
        package let depth: Duration
        package let every: Duration

        package init(name: String, depth: Duration, every: Duration) {
            self.name = name
            self.depth = depth
            self.every = every
        }
    }

    package init(
        documents: DocumentRecord.Kind? = nil,
        overlap: Duration,
        firstLookback: Duration? = nil,
        windowMax: Duration? = nil,
        resumableFor: Duration? = nil,
        deepReads: [DeepRead] = [],
        sweeps: Bool = false
    ) {
        self.documents = documents
        self.overlap = overlap
        self.firstLookback = firstLookback
        self.windowMax = windowMax
        self.resumableFor = resumableFor
        self.deepReads = deepReads
        self.sweeps = sweeps
    }
}

/// A span of a source's own change times, both ends frozen before the first page is asked for.
package struct PullWindow: Sendable, Equatable {
    /// nil: from the beginning.
    package let since: Date?
    package let until: Date

    package init(since: Date?, until: Date) {
        self.since = since
        self.until = until
    }
}

package struct SourcePage: Sendable {
    package var rows: MappedRows
    /// Where the next page begins; nil behind the last.
    package var next: String?

    package init(rows: MappedRows, next: String?) {
        self.rows = rows
        self.next = next
    }
}

/// One account of one marketplace, read page by page.
package protocol MarketplaceSource: Sendable {
    var scope: SourceScope { get }
    /// How far behind now the vendor's data may be read.
    var lag: Duration { get }
    /// Seconds that our clock is ahead of the vendor's, as far as its answers have told.
    var aheadOfVendor: TimeInterval { get }
    func plan(_ pipeline: Pipeline) -> PipelinePlan
    /// The page at `cursor`. Empty pages with a `next` are ordinary.
    ///
    /// Throws `PullPaused`, `PageTokenExpired`, or an error whose kind says whether to try again.
    func page(_ pipeline: Pipeline, _ window: PullWindow, cursor: String?) async throws -> SourcePage
    /// Reads everything there is, for what a full sweep compares: also what has changed since the run began.
    ///
    /// Each step goes through `retrying`. Throws when it cannot prove that it read everything (INV-6).
    func sweep(_ pipeline: Pipeline, _ retrying: PullRetrying, _ take: (MappedRows) async throws -> Void) async throws
    /// The objects that a webhook named; those that are gone are left out.
    func objects(_ pipeline: Pipeline, ids: [String]) async throws -> MappedRows
    /// What the vendor itself counts by day, ending with the last whole day before `until`; empty where it counts
    /// nothing.
    func controlTotals(until: Date) async throws -> [ControlTotal]
}

/// A vendor's own sum of a day's orders that were not cancelled, before refunds.
package struct ControlTotal: Sendable, Equatable {
    package let day: Date
    package let units: Int
    package let revenue: Decimal
}

extension MarketplaceSource {
    package var aheadOfVendor: TimeInterval { 0 }
    package func objects(_ pipeline: Pipeline, ids: [String]) async throws -> MappedRows { MappedRows() }
    package func controlTotals(until: Date) async throws -> [ControlTotal] { [] }
}
