/// What the retail job is told.
package struct RetailSettings: Sendable {
    /// Where a first run begins.
    package var startSalesID: Int64
    /// Sales a page.
    package var salesLimit: Int
    /// How many ids below the last one are read again for late edits.
    package var lookback: Int64
    /// How many ids may lie between two sales that follow each other; beyond it the source is not believed.
    package var idGapMax: Int64
    package var bronzeFolder: String
    package var compression: BronzeCompression
    /// Days that loaded files are kept; nil keeps them for good.
    package var retentionDays: Int?
    /// Sales after which a bronze file is closed and the watermark moves: the unit that a killed run repeats.
    package var fileSalesMax: Int

    package init(
        startSalesID: Int64 = 1,
        salesLimit: Int = 250,
        lookback: Int64 = 1_000,
        idGapMax: Int64 = 1_000_000,
        bronzeFolder: String,
        compression: BronzeCompression = .none,
        retentionDays: Int? = nil,
        fileSalesMax: Int = 100_000
    ) {
        self.startSalesID = startSalesID
        self.salesLimit = salesLimit
        self.lookback = lookback
        self.idGapMax = idGapMax
        self.bronzeFolder = bronzeFolder
        self.compression = compression
        self.retentionDays = retentionDays
        self.fileSalesMax = fileSalesMax
    }
}
