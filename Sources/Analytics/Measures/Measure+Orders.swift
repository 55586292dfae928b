/// What the order job computes.
extension Measure {
    package static let ofOrders: [Measure] = [
        Measure(
            "order_status",
            into: "public.order_analytics",
            day: "order_date",
            columns: [
                "order_date", "status", "order_count", "total_revenue", "avg_order_value",
            ],
            keyWidth: 2,
            text: PackageResources.order_status_sql,
            v1: [.orders()],
            v2: [.orders()]
        ),
        Measure(
            "order_outcomes",
            into: "analytics.order_outcomes",
            day: "order_date",
            columns: [
                "order_date", "orders", "completed", "cancelled", "refunded", "cancel_share",
                "refund_share", "refunded_amount",
            ],
            text: PackageResources.order_outcomes_sql,
            v1: [.orders()],
            v2: [.orders()]
        ),
        Measure(
            "product_sales",
            into: "analytics.product_daily",
            day: "order_date",
            columns: [
                "order_date", "product_id", "orders", "quantity", "revenue", "revenue_rank",
            ],
            keyWidth: 2,
            isMonthly: true,
            text: PackageResources.product_sales_sql,
            v1: [.orders(), .items],
            v2: [.orders(), .items]
        ),
    ]
}
