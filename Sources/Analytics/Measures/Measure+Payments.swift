/// What the payment job computes.
extension Measure {
    package static let ofPayments: [Measure] = [
        Measure(
            "payment_methods",
            into: "public.payment_analytics",
            day: "payment_date",
            columns: [
                "payment_date", "payment_method", "transaction_count", "total_amount", "successful",
                "failed", "success_rate", "avg_processing_time",
            ],
            keyWidth: 2,
            text: PackageResources.payment_methods_sql,
            v1: [.payments()],
            v2: [.payments()]
        ),
        Measure(
            "payment_failures",
            into: "analytics.payment_failures",
            day: "payment_date",
            columns: [
                "payment_date", "payment_method", "failure_reason", "failed", "failed_amount",
                "share_of_failures",
            ],
            keyWidth: 3,
            text: PackageResources.payment_failures_sql,
            v1: [.payments("failure_reason")],
            v2: [.payments("failure_reason")]
        ),
        Measure(
            "fraud_daily",
            into: "analytics.fraud_daily",
            day: "payment_date",
            columns: [
                "payment_date", "transaction_count", "median_amount", "median_deviation", "outliers",
                "max_score", "country_mismatches",
            ],
            text: PackageResources.fraud_daily_sql,
            v1: [.payments()],
            v2: [.payments()]
        ),
        Measure(
            "fraud_signals",
            into: "analytics.fraud_signals",
            day: "payment_date",
            columns: [
                "payment_date", "user_token", "transaction_count", "velocity_per_hour", "failed",
                "outliers", "max_score", "country_mismatches", "risk_score",
            ],
            keyWidth: 2,
            tokenColumns: [1],
            isMonthly: true,
            text: PackageResources.fraud_signals_sql,
            v1: [.payments("user_id")],
            v2: [.payments("user_token")]
        ),
    ]
}
