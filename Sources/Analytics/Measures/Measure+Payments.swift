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
            texts: .init(v1: PackageResources.payment_methods_v1_sql, v2: PackageResources.payment_methods_v2_sql),
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
            texts: .init(v1: PackageResources.payment_failures_v1_sql, v2: PackageResources.payment_failures_v2_sql),
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
            texts: .init(v1: PackageResources.fraud_daily_v1_sql, v2: PackageResources.fraud_daily_v2_sql),
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
            texts: .init(v1: PackageResources.fraud_signals_v1_sql, v2: PackageResources.fraud_signals_v2_sql),
            v1: [.payments("user_id")],
            v2: [.payments("user_token")]
        ),
    ]
}
