/// What the user job computes.
extension Measure {
    package static let ofUsers: [Measure] = [
        Measure(
            "user_registrations",
            into: "public.user_analytics",
            day: "registration_date",
            columns: [
                "registration_date", "total_registrations", "verified_users", "premium_signups",
            ],
            text: PackageResources.user_registrations_sql,
            v1: [.users("created_at")],
            v2: [.users()]
        ),
        Measure(
            "user_activity",
            into: "public.user_activity",
            day: "as_of",
            columns: [
                "user_token", "as_of", "signup_date", "last_activity_date", "days_since_last_activity",
                "is_churned", "user_id", "status", "subscription_type", "days_since_last_login",
            ],
            tokenColumns: [0, 6],
            isSnapshot: true,
            text: PackageResources.user_activity_sql,
            legacyText: PackageResources.user_activity_legacy_sql,
            v1: [.users()],
            v2: [.users()]
        ),
        Measure(
            "daily_activity",
            into: "analytics.activity_daily",
            day: "activity_date",
            columns: [
                "activity_date", "daily_active", "weekly_active", "monthly_active", "stickiness",
            ],
            text: PackageResources.daily_activity_sql,
            v1: [.users("created_at"), .orders("user_id")],
            v2: [.users(), .orders("user_token", "created_at")]
        ),
        Measure(
            "daily_churn",
            into: "analytics.churn_daily",
            day: "churn_date",
            columns: [
                "churn_date", "users_before", "churned_users", "churn_rate",
            ],
            text: PackageResources.daily_churn_sql,
            v1: [.users("created_at")],
            v2: [.users()]
        ),
        Measure(
            "cohort_retention",
            into: "analytics.cohort_retention",
            day: "activity_date",
            columns: [
                "activity_date", "cohort_week", "weeks_since_signup", "cohort_size", "active_users",
                "retention_rate",
            ],
            keyWidth: 2,
            isMonthly: true,
            text: PackageResources.cohort_retention_sql,
            v1: [.users("created_at"), .orders("user_id")],
            v2: [.users(), .orders("user_token", "created_at")]
        ),
        Measure(
            "signup_funnel",
            into: "analytics.engagement_funnel",
            day: "funnel_date",
            columns: [
                "funnel_date", "funnel", "step_no", "step", "users", "share_of_first",
            ],
            keyWidth: 3,
            text: PackageResources.signup_funnel_sql,
            v1: [.users("created_at"), .orders("user_id")],
            v2: [.users(), .orders("user_token", "created_at")]
        ),
    ]
}
