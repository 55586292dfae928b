/// The dbt project of the folder `dbt`, compiled into the binary.
package enum DBTProject {
    /// Every file by its path within the project; a test compares the list with the folder.
    package static let files: [(path: String, bytes: [UInt8])] = [
        ("dbt_project.yml", PackageResources.dbt_project_yml),
        ("macros/changed_rows.sql", PackageResources.changed_rows_sql),
        ("macros/generate_schema_name.sql", PackageResources.generate_schema_name_sql),
        ("macros/hold_fence.sql", PackageResources.hold_fence_sql),
        ("macros/keep_unique.sql", PackageResources.keep_unique_sql),
        ("macros/test_accepted_range.sql", PackageResources.test_accepted_range_sql),
        ("macros/test_unique_together.sql", PackageResources.test_unique_together_sql),
        ("models/core/core.yml", PackageResources.core_yml),
        ("models/core/dim_customer.sql", PackageResources.dim_customer_sql),
        ("models/core/dim_product.sql", PackageResources.dim_product_sql),
        ("models/core/sales_item.sql", PackageResources.sales_item_sql),
        ("models/mart/mart.yml", PackageResources.mart_yml),
        ("models/mart/mart_sales_by_customer.sql", PackageResources.mart_sales_by_customer_sql),
        ("models/sources.yml", PackageResources.sources_yml),
        ("tests/mart_sums_equal_sales_item.sql", PackageResources.mart_sums_equal_sales_item_sql),
        ("tests/sales_item_sums_equal_sale_totals.sql", PackageResources.sales_item_sums_equal_sale_totals_sql),
    ]
}
