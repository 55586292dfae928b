/// The GraphQL documents that are sent; a test validates each against Shopify's schema.
package enum ShopifyQuery: String, Sendable, CaseIterable {
    case shop = "TallymanShop"
    case products = "TallymanProducts"
    case variants = "TallymanVariants"
    case variantsOfProduct = "TallymanVariantsOfProduct"
    case orders = "TallymanOrders"
    case linesOfOrder = "TallymanLinesOfOrder"
    case linesOfRefund = "TallymanLinesOfRefund"
    case refundsOfOrder = "TallymanRefundsOfOrder"
    case transactionsOfOrder = "TallymanTransactionsOfOrder"
    case returnsOfOrder = "TallymanReturnsOfOrder"
    case linesOfReturn = "TallymanLinesOfReturn"
    case fees = "TallymanFees"
    case balance = "TallymanBalance"
    case ordersByID = "TallymanOrdersByID"
    case productsByID = "TallymanProductsByID"
    case bulkRun = "TallymanBulkRun"
    case bulkState = "TallymanBulkState"

    package var document: String {
        switch self {
        case .shop: "query TallymanShop { shop { id myshopifyDomain currencyCode ianaTimezone } }"
        case .products:
            """
            query TallymanProducts($first: Int!, $after: String, $query: String) {
              products(first: $first, after: $after, query: $query, sortKey: UPDATED_AT) {
                pageInfo { hasNextPage endCursor }
                nodes { \(Self.product) variants(first: 50) {
                  pageInfo { hasNextPage endCursor } nodes { \(Self.variant) } } }
              }
            }
            """
        case .variants:
            """
            query TallymanVariants($first: Int!, $after: String, $query: String) {
              productVariants(first: $first, after: $after, query: $query, sortKey: ID) {
                pageInfo { hasNextPage endCursor }
                nodes { \(Self.variant) product { \(Self.product) } }
              }
            }
            """
        case .variantsOfProduct:
            """
            query TallymanVariantsOfProduct($id: ID!, $first: Int!, $after: String) {
              product(id: $id) { variants(first: $first, after: $after) {
                pageInfo { hasNextPage endCursor } nodes { \(Self.variant) } } }
            }
            """
        case .orders:
            """
            query TallymanOrders($first: Int!, $after: String, $query: String) {
              orders(first: $first, after: $after, query: $query, sortKey: UPDATED_AT) {
                pageInfo { hasNextPage endCursor }
                nodes { \(Self.wholeOrder) }
              }
            }
            """
        case .ordersByID:
            """
            query TallymanOrdersByID($ids: [ID!]!) { nodes(ids: $ids) { ... on Order { \(Self.wholeOrder) } } }
            """
        case .productsByID:
            """
            query TallymanProductsByID($ids: [ID!]!) {
              nodes(ids: $ids) { ... on Product { \(Self.product) variants(first: 50) {
                pageInfo { hasNextPage endCursor } nodes { \(Self.variant) } } } }
            }
            """
        case .bulkRun:
            """
            mutation TallymanBulkRun($query: String!) {
              bulkOperationRunQuery(query: $query, groupObjects: true) {
                bulkOperation { id status } userErrors { code field }
              }
            }
            """
        case .bulkState:
            """
            query TallymanBulkState($id: ID!) {
              bulkOperation(id: $id) { id status errorCode objectCount fileSize url partialDataUrl }
            }
            """
        case .linesOfOrder:
            """
            query TallymanLinesOfOrder($id: ID!, $first: Int!, $after: String) {
              order(id: $id) { lineItems(first: $first, after: $after) {
                pageInfo { hasNextPage endCursor } nodes { \(Self.line) } } }
            }
            """
        case .linesOfRefund:
            """
            query TallymanLinesOfRefund($id: ID!, $first: Int!, $after: String) {
              refund(id: $id) { refundLineItems(first: $first, after: $after) {
                pageInfo { hasNextPage endCursor } nodes { \(Self.refundLine) } } }
            }
            """
        case .refundsOfOrder:
            "query TallymanRefundsOfOrder($id: ID!) { order(id: $id) { refunds(first: \(Self.listMax)) { id } } }"
        case .transactionsOfOrder:
            """
            query TallymanTransactionsOfOrder($id: ID!) {
              order(id: $id) { transactions(first: \(Self.listMax)) { \(Self.transaction) } }
            }
            """
        case .returnsOfOrder:
            """
            query TallymanReturnsOfOrder($id: ID!, $first: Int!, $after: String) {
              order(id: $id) { returns(first: $first, after: $after) {
                pageInfo { hasNextPage endCursor } nodes { \(Self.returned) } } }
            }
            """
        case .linesOfReturn:
            """
            query TallymanLinesOfReturn($id: ID!, $first: Int!, $after: String) {
              return(id: $id) { returnLineItems(first: $first, after: $after) {
                pageInfo { hasNextPage endCursor } nodes { \(Self.returnLine) } } }
            }
            """
        case .fees:
            """
            query TallymanFees($first: Int!, $after: String, $query: String) {
              orders(first: $first, after: $after, query: $query, sortKey: UPDATED_AT) {
                pageInfo { hasNextPage endCursor }
                nodes { \(Self.orderFees) }
              }
            }
            """
        case .balance:
            """
            query TallymanBalance($first: Int!, $after: String, $query: String) {
              shopifyPaymentsAccount { balanceTransactions(first: $first, after: $after, query: $query,
                  sortKey: PROCESSED_AT) {
                pageInfo { hasNextPage endCursor }
                nodes { id type transactionDate test fee { amount currencyCode } associatedOrder { id } }
              } }
            }
            """
        }
    }

    /// Points that a page of `first` is taken to cost until the shop has said otherwise.
    func estimate(first: Int) -> Double {
        switch self {
        case .shop, .bulkState: 2
        case .bulkRun: 10
        case .ordersByID, .productsByID: 16 * Double(first)
        case .refundsOfOrder, .transactionsOfOrder: 10 + Double(Self.listMax)
        case .variants, .balance, .variantsOfProduct, .linesOfRefund, .linesOfOrder, .linesOfReturn:
            10 + Double(first)
        case .products, .orders, .fees, .returnsOfOrder: 10 + 8 * Double(first)
        }
    }

    /// The longest that Shopify makes a list without pages.
    static let listMax = 250
    /// How many refunds and transactions of an order come with it: Shopify cuts longer lists without a word.
    static let refunds = 10
    static let transactions = 30

    private static let money = "shopMoney { amount currencyCode }"
    static let order = "id createdAt processedAt updatedAt cancelledAt test displayFinancialStatus returnStatus"
    private static let wholeOrder = """
        \(order) lineItems(first: 20) { pageInfo { hasNextPage endCursor } nodes { \(line) } }
        refunds(first: \(refunds)) { id refundLineItems(first: 10) {
          pageInfo { hasNextPage endCursor } nodes { \(refundLine) } } }
        returns(first: 3) { pageInfo { hasNextPage endCursor } nodes { \(returned) } }
        """
    static let orderFees = """
        id updatedAt test transactions(first: \(transactions)) { \(transaction) }
        """
    private static let transaction = """
        id kind status processedAt createdAt test
          fees { id type amount { amount currencyCode } taxAmount { amount currencyCode } }
        """
    static let product = "id title vendor productType status handle onlineStoreUrl createdAt updatedAt"
    static let variant = """
        id sku barcode title price createdAt updatedAt inventoryItem { unitCost { amount currencyCode } }
        """
    static let line = """
        id quantity sku title originalTotalSet { \(money) } discountAllocations { allocatedAmountSet { \(money) } }
        variant { id inventoryItem { unitCost { amount currencyCode } } }
        """
    private static let refundLine = "quantity restockType subtotalSet { \(money) } lineItem { id }"
    private static let returned = """
        id status returnLineItems(first: 5) { pageInfo { hasNextPage endCursor } nodes { \(returnLine) } }
        """
    private static let returnLine = """
        id quantity processedQuantity ... on ReturnLineItem { fulfillmentLineItem { lineItem { id } } }
        """
}
