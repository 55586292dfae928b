/// What the notification job computes.
extension Measure {
    package static let ofNotifications: [Measure] = [
        Measure(
            "notification_kinds",
            into: "public.notification_analytics",
            day: "notification_date",
            columns: [
                "notification_date", "channel", "notification_type", "total_sent", "delivered", "opened",
                "clicked", "delivery_rate", "open_rate", "click_rate", "click_through_rate", "bounced",
                "failed",
            ],
            keyWidth: 3,
            text: PackageResources.notification_kinds_sql,
            v1: [.notifications],
            v2: [.notifications]
        ),
        Measure(
            "notification_channels",
            into: "public.channel_analytics",
            day: "notification_date",
            columns: [
                "notification_date", "channel", "total_sent", "delivered", "opened", "clicked",
                "delivery_rate", "open_rate", "click_rate", "click_through_rate", "bounced", "failed",
            ],
            keyWidth: 2,
            text: PackageResources.notification_channels_sql,
            v1: [.notifications],
            v2: [.notifications]
        ),
    ]
}
