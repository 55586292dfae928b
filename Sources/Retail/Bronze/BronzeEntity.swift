/// The kinds of records, each with a folder of its own under `BRONZE_DIR` and a table in silver.
package enum BronzeEntity: String, Sendable, CaseIterable {
    case customers, products
    case salesCustomer = "sales_customer"
    case salesProduct = "sales_product"
}
