-- migrate:up
CREATE VIEW analytics.daily_kpis AS
WITH days AS (
    SELECT registration_date AS day FROM public.user_analytics
    UNION SELECT order_date FROM public.order_analytics
    UNION SELECT payment_date FROM public.payment_analytics
    UNION SELECT notification_date FROM public.channel_analytics
    UNION SELECT activity_date FROM analytics.activity_daily
), orders AS (
    SELECT order_date AS day, sum(order_count)::bigint AS orders,
        coalesce(sum(total_revenue) FILTER (WHERE status = 'completed'), 0.00) AS revenue
    FROM public.order_analytics GROUP BY order_date
), payments AS (
    SELECT payment_date AS day, sum(transaction_count)::bigint AS payments, sum(total_amount) AS paid_amount,
        round(100.0 * sum(successful) / nullif(sum(transaction_count), 0), 2) AS payment_success_rate
    FROM public.payment_analytics GROUP BY payment_date
), notes AS (
    SELECT notification_date AS day, sum(total_sent)::bigint AS notifications_sent,
        coalesce(round(100.0 * sum(opened) / nullif(sum(delivered), 0), 2), 0.00) AS notification_open_rate
    FROM public.channel_analytics GROUP BY notification_date
)
SELECT days.day, u.total_registrations AS registrations, u.verified_users, u.premium_signups,
    a.daily_active, a.weekly_active, a.monthly_active, a.stickiness, c.churned_users, c.churn_rate,
    orders.orders, orders.revenue, o.cancel_share, o.refund_share, o.refunded_amount,
    payments.payments, payments.paid_amount, payments.payment_success_rate, f.outliers AS payment_outliers,
    notes.notifications_sent, notes.notification_open_rate
FROM days
LEFT JOIN public.user_analytics AS u ON u.registration_date = days.day
LEFT JOIN analytics.activity_daily AS a ON a.activity_date = days.day
LEFT JOIN analytics.churn_daily AS c ON c.churn_date = days.day
LEFT JOIN analytics.order_outcomes AS o ON o.order_date = days.day
LEFT JOIN analytics.fraud_daily AS f ON f.payment_date = days.day
LEFT JOIN orders ON orders.day = days.day
LEFT JOIN payments ON payments.day = days.day
LEFT JOIN notes ON notes.day = days.day;
COMMENT ON VIEW analytics.daily_kpis IS
    'One row a day with the figures a dashboard begins with; NULL where no job ran.';
COMMENT ON COLUMN analytics.daily_kpis.day IS 'Day in ANALYTICS_TIMEZONE.';
COMMENT ON COLUMN analytics.daily_kpis.registrations IS 'Users registered on that day.';
COMMENT ON COLUMN analytics.daily_kpis.verified_users IS 'Of these verified by now.';
COMMENT ON COLUMN analytics.daily_kpis.premium_signups IS 'Of these premium by now.';
COMMENT ON COLUMN analytics.daily_kpis.daily_active IS 'Users seen on that day.';
COMMENT ON COLUMN analytics.daily_kpis.weekly_active IS 'Users seen in the 7 days that end with it.';
COMMENT ON COLUMN analytics.daily_kpis.monthly_active IS 'Users seen in the 30 days that end with it.';
COMMENT ON COLUMN analytics.daily_kpis.stickiness IS 'daily_active / monthly_active in percent.';
COMMENT ON COLUMN analytics.daily_kpis.churned_users IS 'Users who churned on that day.';
COMMENT ON COLUMN analytics.daily_kpis.churn_rate IS 'churned_users / users who had not churned before, in percent.';
COMMENT ON COLUMN analytics.daily_kpis.orders IS 'Orders, whatever their status.';
COMMENT ON COLUMN analytics.daily_kpis.revenue IS 'Sum of the totals of completed orders.';
COMMENT ON COLUMN analytics.daily_kpis.cancel_share IS 'Cancelled / orders in percent.';
COMMENT ON COLUMN analytics.daily_kpis.refund_share IS 'Refunded / orders in percent.';
COMMENT ON COLUMN analytics.daily_kpis.refunded_amount IS 'Sum of the totals of refunded orders.';
COMMENT ON COLUMN analytics.daily_kpis.payments IS 'Payments, whatever their status.';
COMMENT ON COLUMN analytics.daily_kpis.paid_amount IS 'Sum of their amounts.';
COMMENT ON COLUMN analytics.daily_kpis.payment_success_rate IS 'Successful / payments in percent.';
COMMENT ON COLUMN analytics.daily_kpis.payment_outliers IS 'Amounts with a robust z-score above 3.5.';
COMMENT ON COLUMN analytics.daily_kpis.notifications_sent IS 'Notifications sent.';
COMMENT ON COLUMN analytics.daily_kpis.notification_open_rate IS 'Opened / delivered in percent.';

CREATE VIEW analytics.top_products AS
SELECT order_date, revenue_rank, product_id, orders, quantity, revenue
FROM analytics.product_daily WHERE revenue_rank <= 20;
COMMENT ON VIEW analytics.top_products IS 'The twenty products with most revenue of each day.';
COMMENT ON COLUMN analytics.top_products.order_date IS 'Day in ANALYTICS_TIMEZONE.';
COMMENT ON COLUMN analytics.top_products.revenue_rank IS 'Place by revenue on that day, 1 to 20.';
COMMENT ON COLUMN analytics.top_products.product_id IS 'Identifier of the product.';
COMMENT ON COLUMN analytics.top_products.orders IS 'Orders with it, not cancelled.';
COMMENT ON COLUMN analytics.top_products.quantity IS 'Pieces.';
COMMENT ON COLUMN analytics.top_products.revenue IS 'Sum of quantity × unit price.';

-- A day without sales is a day with nothing sold: both sums run over seven calendar days.
CREATE VIEW analytics.rising_products AS
SELECT p.as_of, p.product_id, p.recent AS revenue_7_days, p.before AS revenue_7_days_before,
    CASE WHEN p.before > 0 THEN round(100.0 * (p.recent - p.before) / p.before, 2) END AS growth_percent
FROM (
    SELECT newest.as_of, d.product_id,
        coalesce(sum(d.revenue) FILTER (WHERE d.order_date > newest.as_of - 7), 0.00) AS recent,
        coalesce(sum(d.revenue) FILTER (WHERE d.order_date <= newest.as_of - 7), 0.00) AS before
    FROM (SELECT max(order_date) AS as_of FROM analytics.product_daily) AS newest
    JOIN analytics.product_daily AS d ON d.order_date > newest.as_of - 14 AND d.order_date <= newest.as_of
    GROUP BY newest.as_of, d.product_id
) AS p
WHERE p.recent > p.before;
COMMENT ON VIEW analytics.rising_products IS 'Products whose last seven days earned more than the seven before.';
COMMENT ON COLUMN analytics.rising_products.as_of IS 'Newest day with sales.';
COMMENT ON COLUMN analytics.rising_products.product_id IS 'Identifier of the product.';
COMMENT ON COLUMN analytics.rising_products.revenue_7_days IS 'Revenue of the seven days that end with as_of.';
COMMENT ON COLUMN analytics.rising_products.revenue_7_days_before IS 'Revenue of the seven days before those.';
COMMENT ON COLUMN analytics.rising_products.growth_percent IS 'Growth in percent; NULL where nothing was sold before.';

CREATE VIEW analytics.notification_funnel AS
SELECT n.notification_date, n.channel, s.step_no, s.step, s.notifications,
    coalesce(round(100.0 * s.notifications / nullif(n.total_sent, 0), 2), 0.00) AS share_of_sent
FROM public.channel_analytics AS n
CROSS JOIN LATERAL (VALUES (1, 'sent', n.total_sent), (2, 'delivered', n.delivered), (3, 'opened', n.opened),
    (4, 'clicked', n.clicked)) AS s (step_no, step, notifications);
COMMENT ON VIEW analytics.notification_funnel IS 'Sent, delivered, opened, clicked by day and channel.';
COMMENT ON COLUMN analytics.notification_funnel.notification_date IS 'Day in ANALYTICS_TIMEZONE.';
COMMENT ON COLUMN analytics.notification_funnel.channel IS 'email, sms, push …';
COMMENT ON COLUMN analytics.notification_funnel.step_no IS 'Place of the step, from 1.';
COMMENT ON COLUMN analytics.notification_funnel.step IS 'sent, delivered, opened, clicked.';
COMMENT ON COLUMN analytics.notification_funnel.notifications IS 'Notifications that came that far.';
COMMENT ON COLUMN analytics.notification_funnel.share_of_sent IS 'notifications / sent in percent.';

CREATE VIEW analytics.channel_totals AS
SELECT channel, sum(total_sent)::bigint AS total_sent, sum(delivered)::bigint AS delivered,
    sum(opened)::bigint AS opened, sum(clicked)::bigint AS clicked
FROM public.channel_analytics GROUP BY channel;
COMMENT ON VIEW analytics.channel_totals IS 'Totals by channel over all days.';
COMMENT ON COLUMN analytics.channel_totals.channel IS 'email, sms, push …';
COMMENT ON COLUMN analytics.channel_totals.total_sent IS 'Notifications sent on all days.';
COMMENT ON COLUMN analytics.channel_totals.delivered IS 'Of these delivered.';
COMMENT ON COLUMN analytics.channel_totals.opened IS 'Of these opened.';
COMMENT ON COLUMN analytics.channel_totals.clicked IS 'Of these clicked.';

CREATE VIEW analytics.churn_summary AS
SELECT as_of, count(*) AS users, count(*) FILTER (WHERE is_churned) AS churned,
    round(100.0 * count(*) FILTER (WHERE is_churned) / count(*), 2) AS churned_share
FROM public.user_activity GROUP BY as_of;
COMMENT ON VIEW analytics.churn_summary IS 'How many users have churned as of the newest day.';
COMMENT ON COLUMN analytics.churn_summary.as_of IS 'Day at whose end the figures hold.';
COMMENT ON COLUMN analytics.churn_summary.users IS 'Users known then.';
COMMENT ON COLUMN analytics.churn_summary.churned IS 'Of these without activity for CHURN_DAYS.';
COMMENT ON COLUMN analytics.churn_summary.churned_share IS 'churned / users in percent.';

-- migrate:down
DROP VIEW analytics.daily_kpis, analytics.top_products, analytics.rising_products, analytics.notification_funnel,
    analytics.channel_totals, analytics.churn_summary;
