-- migrate:up
CREATE SCHEMA analytics;

CREATE TABLE public.user_analytics (
    registration_date date NOT NULL,
    total_registrations bigint NOT NULL,
    verified_users bigint NOT NULL,
    premium_signups bigint NOT NULL,
    run_id uuid NOT NULL,
    computed_at timestamptz NOT NULL,
    PRIMARY KEY (registration_date)
);
COMMENT ON TABLE public.user_analytics IS 'Registrations per day.';
COMMENT ON COLUMN public.user_analytics.registration_date IS 'Day in ANALYTICS_TIMEZONE.';
COMMENT ON COLUMN public.user_analytics.total_registrations IS 'Users registered on that day.';
COMMENT ON COLUMN public.user_analytics.verified_users IS 'Of these, those whose e-mail is verified by now.';
COMMENT ON COLUMN public.user_analytics.premium_signups IS 'Of these, those whose tier is premium by now.';

CREATE TABLE public.user_activity (
    user_token text NOT NULL,
    as_of date NOT NULL,
    signup_date date,
    last_activity_date date,
    days_since_last_activity integer,
    is_churned boolean NOT NULL,
    user_id text,
    status text,
    subscription_type text,
    days_since_last_login integer,
    run_id uuid NOT NULL,
    computed_at timestamptz NOT NULL,
    PRIMARY KEY (user_token)
);
COMMENT ON TABLE public.user_activity IS
    'One row for each user as of the newest day computed; identifiers are tokens.';
COMMENT ON COLUMN public.user_activity.user_token IS 'Token of the user: prefix, key version, HMAC-SHA-256 in hex.';
COMMENT ON COLUMN public.user_activity.as_of IS 'Day at whose end the figures hold.';
COMMENT ON COLUMN public.user_activity.signup_date IS 'Day of registration; NULL where the source keeps none.';
COMMENT ON COLUMN public.user_activity.last_activity_date IS 'Day of the last activity; NULL when there was none.';
COMMENT ON COLUMN public.user_activity.days_since_last_activity IS
    'Days from the last activity to as_of; NULL when there was none.';
COMMENT ON COLUMN public.user_activity.is_churned IS
    'No activity for CHURN_DAYS, counted from registration when there was none.';
COMMENT ON COLUMN public.user_activity.user_id IS
    'Column of the service replaced: the same token; NULL without ENABLE_LEGACY_ETL.';
COMMENT ON COLUMN public.user_activity.status IS
    'Column of the service replaced: account status; NULL without ENABLE_LEGACY_ETL.';
COMMENT ON COLUMN public.user_activity.subscription_type IS
    'Column of the service replaced: kind of subscription; NULL without ENABLE_LEGACY_ETL.';
COMMENT ON COLUMN public.user_activity.days_since_last_login IS
    'Column of the service replaced: days since the last login; NULL without ENABLE_LEGACY_ETL.';

CREATE TABLE public.order_analytics (
    order_date date NOT NULL,
    status text NOT NULL,
    order_count bigint NOT NULL,
    total_revenue numeric NOT NULL,
    avg_order_value numeric NOT NULL,
    run_id uuid NOT NULL,
    computed_at timestamptz NOT NULL,
    PRIMARY KEY (order_date, status)
);
COMMENT ON TABLE public.order_analytics IS 'Orders per day and status.';
COMMENT ON COLUMN public.order_analytics.order_date IS 'Day in ANALYTICS_TIMEZONE.';
COMMENT ON COLUMN public.order_analytics.status IS
    'completed, pending, cancelled, refunded …; other for what is no code word.';
COMMENT ON COLUMN public.order_analytics.order_count IS 'Orders.';
COMMENT ON COLUMN public.order_analytics.total_revenue IS 'Sum of their totals.';
COMMENT ON COLUMN public.order_analytics.avg_order_value IS 'Mean of the totals that are there, two decimals.';

CREATE TABLE public.payment_analytics (
    payment_date date NOT NULL,
    payment_method text NOT NULL,
    transaction_count bigint NOT NULL,
    total_amount numeric NOT NULL,
    successful bigint NOT NULL,
    failed bigint NOT NULL,
    success_rate numeric NOT NULL,
    avg_processing_time numeric NOT NULL,
    run_id uuid NOT NULL,
    computed_at timestamptz NOT NULL,
    PRIMARY KEY (payment_date, payment_method)
);
COMMENT ON TABLE public.payment_analytics IS 'Payments per day and method.';
COMMENT ON COLUMN public.payment_analytics.payment_date IS 'Day in ANALYTICS_TIMEZONE.';
COMMENT ON COLUMN public.payment_analytics.payment_method IS 'Code word of the method; other for what is none.';
COMMENT ON COLUMN public.payment_analytics.transaction_count IS 'Payments, whatever their status.';
COMMENT ON COLUMN public.payment_analytics.total_amount IS 'Sum of their amounts.';
COMMENT ON COLUMN public.payment_analytics.successful IS 'Payments with status success.';
COMMENT ON COLUMN public.payment_analytics.failed IS 'Payments with status failed.';
COMMENT ON COLUMN public.payment_analytics.success_rate IS 'successful / transaction_count in percent, two decimals.';
COMMENT ON COLUMN public.payment_analytics.avg_processing_time IS
    'Mean milliseconds of the successful, two decimals; 0 when unknown.';

CREATE TABLE public.notification_analytics (
    notification_date date NOT NULL,
    channel text NOT NULL,
    notification_type text NOT NULL,
    total_sent bigint NOT NULL,
    delivered bigint NOT NULL,
    opened bigint NOT NULL,
    clicked bigint NOT NULL,
    delivery_rate numeric NOT NULL,
    open_rate numeric NOT NULL,
    click_rate numeric NOT NULL,
    click_through_rate numeric NOT NULL,
    bounced bigint,
    failed bigint,
    run_id uuid NOT NULL,
    computed_at timestamptz NOT NULL,
    PRIMARY KEY (notification_date, channel, notification_type)
);
COMMENT ON TABLE public.notification_analytics IS 'Notifications per day, channel and type.';
COMMENT ON COLUMN public.notification_analytics.notification_date IS 'Day in ANALYTICS_TIMEZONE.';
COMMENT ON COLUMN public.notification_analytics.channel IS 'email, sms, push …';
COMMENT ON COLUMN public.notification_analytics.notification_type IS 'Code word of the type.';
COMMENT ON COLUMN public.notification_analytics.total_sent IS 'Notifications sent.';
COMMENT ON COLUMN public.notification_analytics.delivered IS 'Of these delivered.';
COMMENT ON COLUMN public.notification_analytics.opened IS 'Of these opened.';
COMMENT ON COLUMN public.notification_analytics.clicked IS 'Of these clicked.';
COMMENT ON COLUMN public.notification_analytics.delivery_rate IS 'delivered / sent in percent, two decimals.';
COMMENT ON COLUMN public.notification_analytics.open_rate IS 'opened / delivered in percent, two decimals.';
COMMENT ON COLUMN public.notification_analytics.click_rate IS 'clicked / opened in percent, two decimals.';
COMMENT ON COLUMN public.notification_analytics.click_through_rate IS 'clicked / sent in percent, two decimals.';
COMMENT ON COLUMN public.notification_analytics.bounced IS 'Bounced; NULL where the source does not say.';
COMMENT ON COLUMN public.notification_analytics.failed IS 'Failed; NULL where the source does not say.';

CREATE TABLE public.channel_analytics (
    notification_date date NOT NULL,
    channel text NOT NULL,
    total_sent bigint NOT NULL,
    delivered bigint NOT NULL,
    opened bigint NOT NULL,
    clicked bigint NOT NULL,
    delivery_rate numeric NOT NULL,
    open_rate numeric NOT NULL,
    click_rate numeric NOT NULL,
    click_through_rate numeric NOT NULL,
    bounced bigint,
    failed bigint,
    run_id uuid NOT NULL,
    computed_at timestamptz NOT NULL,
    PRIMARY KEY (notification_date, channel)
);
COMMENT ON TABLE public.channel_analytics IS 'Notifications per day and channel.';
COMMENT ON COLUMN public.channel_analytics.notification_date IS 'Day in ANALYTICS_TIMEZONE.';
COMMENT ON COLUMN public.channel_analytics.channel IS 'email, sms, push …';
COMMENT ON COLUMN public.channel_analytics.total_sent IS 'Notifications sent.';
COMMENT ON COLUMN public.channel_analytics.delivered IS 'Of these delivered.';
COMMENT ON COLUMN public.channel_analytics.opened IS 'Of these opened.';
COMMENT ON COLUMN public.channel_analytics.clicked IS 'Of these clicked.';
COMMENT ON COLUMN public.channel_analytics.delivery_rate IS 'delivered / sent in percent, two decimals.';
COMMENT ON COLUMN public.channel_analytics.open_rate IS 'opened / delivered in percent, two decimals.';
COMMENT ON COLUMN public.channel_analytics.click_rate IS 'clicked / opened in percent, two decimals.';
COMMENT ON COLUMN public.channel_analytics.click_through_rate IS 'clicked / sent in percent, two decimals.';
COMMENT ON COLUMN public.channel_analytics.bounced IS 'Bounced; NULL where the source does not say.';
COMMENT ON COLUMN public.channel_analytics.failed IS 'Failed; NULL where the source does not say.';

CREATE TABLE analytics.activity_daily (
    activity_date date NOT NULL,
    daily_active bigint NOT NULL,
    weekly_active bigint NOT NULL,
    monthly_active bigint NOT NULL,
    stickiness numeric NOT NULL,
    run_id uuid NOT NULL,
    computed_at timestamptz NOT NULL,
    PRIMARY KEY (activity_date)
);
COMMENT ON TABLE analytics.activity_daily IS 'Active users per day.';
COMMENT ON COLUMN analytics.activity_daily.activity_date IS 'Day in ANALYTICS_TIMEZONE.';
COMMENT ON COLUMN analytics.activity_daily.daily_active IS 'Users seen on that day.';
COMMENT ON COLUMN analytics.activity_daily.weekly_active IS 'Users seen in the 7 days that end with it.';
COMMENT ON COLUMN analytics.activity_daily.monthly_active IS 'Users seen in the 30 days that end with it.';
COMMENT ON COLUMN analytics.activity_daily.stickiness IS 'daily_active / monthly_active in percent, two decimals.';

CREATE TABLE analytics.churn_daily (
    churn_date date NOT NULL,
    users_before bigint NOT NULL,
    churned_users bigint NOT NULL,
    churn_rate numeric NOT NULL,
    run_id uuid NOT NULL,
    computed_at timestamptz NOT NULL,
    PRIMARY KEY (churn_date)
);
COMMENT ON TABLE analytics.churn_daily IS 'Users lost per day.';
COMMENT ON COLUMN analytics.churn_daily.churn_date IS 'Day in ANALYTICS_TIMEZONE.';
COMMENT ON COLUMN analytics.churn_daily.users_before IS 'Users who had not churned before that day.';
COMMENT ON COLUMN analytics.churn_daily.churned_users IS
    'Of these, those whose last activity is CHURN_DAYS back on that day.';
COMMENT ON COLUMN analytics.churn_daily.churn_rate IS 'churned_users / users_before in percent, two decimals.';

CREATE TABLE analytics.cohort_retention (
    activity_date date NOT NULL,
    cohort_week date NOT NULL,
    weeks_since_signup integer NOT NULL,
    cohort_size bigint NOT NULL,
    active_users bigint NOT NULL,
    retention_rate numeric NOT NULL,
    run_id uuid NOT NULL,
    computed_at timestamptz NOT NULL,
    PRIMARY KEY (activity_date, cohort_week)
) PARTITION BY RANGE (activity_date);
COMMENT ON TABLE analytics.cohort_retention IS
    'Retention by week of signup, over the seven days that end with the day.';
COMMENT ON COLUMN analytics.cohort_retention.activity_date IS 'Day in ANALYTICS_TIMEZONE.';
COMMENT ON COLUMN analytics.cohort_retention.cohort_week IS 'Monday of the week of registration.';
COMMENT ON COLUMN analytics.cohort_retention.weeks_since_signup IS 'Whole weeks from that Monday to the day.';
COMMENT ON COLUMN analytics.cohort_retention.cohort_size IS 'Users of the cohort.';
COMMENT ON COLUMN analytics.cohort_retention.active_users IS 'Of these, those seen in the seven days.';
COMMENT ON COLUMN analytics.cohort_retention.retention_rate IS 'active_users / cohort_size in percent, two decimals.';

CREATE TABLE analytics.engagement_funnel (
    funnel_date date NOT NULL,
    funnel text NOT NULL,
    step_no integer NOT NULL,
    step text NOT NULL,
    users bigint NOT NULL,
    share_of_first numeric NOT NULL,
    run_id uuid NOT NULL,
    computed_at timestamptz NOT NULL,
    PRIMARY KEY (funnel_date, funnel, step_no)
);
COMMENT ON TABLE analytics.engagement_funnel IS 'Steps that users registered on the day went.';
COMMENT ON COLUMN analytics.engagement_funnel.funnel_date IS 'Day in ANALYTICS_TIMEZONE.';
COMMENT ON COLUMN analytics.engagement_funnel.funnel IS 'Name of the funnel.';
COMMENT ON COLUMN analytics.engagement_funnel.step_no IS 'Place of the step, from 1.';
COMMENT ON COLUMN analytics.engagement_funnel.step IS 'registered, verified, ordered.';
COMMENT ON COLUMN analytics.engagement_funnel.users IS 'Users who went that far.';
COMMENT ON COLUMN analytics.engagement_funnel.share_of_first IS
    'users / users of the first step in percent, two decimals.';

CREATE TABLE analytics.order_outcomes (
    order_date date NOT NULL,
    orders bigint NOT NULL,
    completed bigint NOT NULL,
    cancelled bigint NOT NULL,
    refunded bigint NOT NULL,
    cancel_share numeric NOT NULL,
    refund_share numeric NOT NULL,
    refunded_amount numeric NOT NULL,
    run_id uuid NOT NULL,
    computed_at timestamptz NOT NULL,
    PRIMARY KEY (order_date)
);
COMMENT ON TABLE analytics.order_outcomes IS 'How orders ended per day.';
COMMENT ON COLUMN analytics.order_outcomes.order_date IS 'Day in ANALYTICS_TIMEZONE.';
COMMENT ON COLUMN analytics.order_outcomes.orders IS 'Orders.';
COMMENT ON COLUMN analytics.order_outcomes.completed IS 'Of these completed.';
COMMENT ON COLUMN analytics.order_outcomes.cancelled IS 'Of these cancelled.';
COMMENT ON COLUMN analytics.order_outcomes.refunded IS 'Of these refunded.';
COMMENT ON COLUMN analytics.order_outcomes.cancel_share IS 'cancelled / orders in percent, two decimals.';
COMMENT ON COLUMN analytics.order_outcomes.refund_share IS 'refunded / orders in percent, two decimals.';
COMMENT ON COLUMN analytics.order_outcomes.refunded_amount IS 'Sum of the totals of the refunded.';

CREATE TABLE analytics.product_daily (
    order_date date NOT NULL,
    product_id text NOT NULL,
    orders bigint NOT NULL,
    quantity bigint NOT NULL,
    revenue numeric NOT NULL,
    revenue_rank integer NOT NULL,
    run_id uuid NOT NULL,
    computed_at timestamptz NOT NULL,
    PRIMARY KEY (order_date, product_id)
) PARTITION BY RANGE (order_date);
COMMENT ON TABLE analytics.product_daily IS 'Products sold per day.';
COMMENT ON COLUMN analytics.product_daily.order_date IS 'Day in ANALYTICS_TIMEZONE.';
COMMENT ON COLUMN analytics.product_daily.product_id IS 'Identifier of the product.';
COMMENT ON COLUMN analytics.product_daily.orders IS 'Orders with it, not cancelled.';
COMMENT ON COLUMN analytics.product_daily.quantity IS 'Pieces.';
COMMENT ON COLUMN analytics.product_daily.revenue IS 'Sum of quantity × unit price.';
COMMENT ON COLUMN analytics.product_daily.revenue_rank IS 'Place by revenue on that day, from 1.';

CREATE TABLE analytics.payment_failures (
    payment_date date NOT NULL,
    payment_method text NOT NULL,
    failure_reason text NOT NULL,
    failed bigint NOT NULL,
    failed_amount numeric NOT NULL,
    share_of_failures numeric NOT NULL,
    run_id uuid NOT NULL,
    computed_at timestamptz NOT NULL,
    PRIMARY KEY (payment_date, payment_method, failure_reason)
);
COMMENT ON TABLE analytics.payment_failures IS 'Failed payments per day, method and reason.';
COMMENT ON COLUMN analytics.payment_failures.payment_date IS 'Day in ANALYTICS_TIMEZONE.';
COMMENT ON COLUMN analytics.payment_failures.payment_method IS 'Code word of the method.';
COMMENT ON COLUMN analytics.payment_failures.failure_reason IS 'Code word of the reason; other for what is none.';
COMMENT ON COLUMN analytics.payment_failures.failed IS 'Failed payments.';
COMMENT ON COLUMN analytics.payment_failures.failed_amount IS 'Sum of their amounts.';
COMMENT ON COLUMN analytics.payment_failures.share_of_failures IS
    'failed / all failed of the day in percent, two decimals.';

CREATE TABLE analytics.fraud_daily (
    payment_date date NOT NULL,
    transaction_count bigint NOT NULL,
    median_amount numeric,
    median_deviation numeric,
    outliers bigint NOT NULL,
    max_score numeric NOT NULL,
    country_mismatches bigint,
    run_id uuid NOT NULL,
    computed_at timestamptz NOT NULL,
    PRIMARY KEY (payment_date)
);
COMMENT ON TABLE analytics.fraud_daily IS 'Outliers among the payments of a day.';
COMMENT ON COLUMN analytics.fraud_daily.payment_date IS 'Day in ANALYTICS_TIMEZONE.';
COMMENT ON COLUMN analytics.fraud_daily.transaction_count IS 'Payments.';
COMMENT ON COLUMN analytics.fraud_daily.median_amount IS 'Lower median of the amounts.';
COMMENT ON COLUMN analytics.fraud_daily.median_deviation IS 'Lower median of the distances to it.';
COMMENT ON COLUMN analytics.fraud_daily.outliers IS 'Amounts with a robust z-score above 3.5.';
COMMENT ON COLUMN analytics.fraud_daily.max_score IS 'Greatest robust z-score, four decimals.';
COMMENT ON COLUMN analytics.fraud_daily.country_mismatches IS
    'Payments from another country than billed; NULL where the source does not say.';

CREATE TABLE analytics.fraud_signals (
    payment_date date NOT NULL,
    user_token text NOT NULL,
    transaction_count bigint NOT NULL,
    velocity_per_hour bigint NOT NULL,
    failed bigint NOT NULL,
    outliers bigint NOT NULL,
    max_score numeric NOT NULL,
    country_mismatches bigint NOT NULL,
    risk_score integer NOT NULL,
    run_id uuid NOT NULL,
    computed_at timestamptz NOT NULL,
    PRIMARY KEY (payment_date, user_token)
) PARTITION BY RANGE (payment_date);
COMMENT ON TABLE analytics.fraud_signals IS 'Tokens with signals of fraud per day: counts and scores, no names.';
COMMENT ON COLUMN analytics.fraud_signals.payment_date IS 'Day in ANALYTICS_TIMEZONE.';
COMMENT ON COLUMN analytics.fraud_signals.user_token IS 'Token of the payer.';
COMMENT ON COLUMN analytics.fraud_signals.transaction_count IS 'Payments of the day.';
COMMENT ON COLUMN analytics.fraud_signals.velocity_per_hour IS 'Most payments within one hour.';
COMMENT ON COLUMN analytics.fraud_signals.failed IS 'Failed ones.';
COMMENT ON COLUMN analytics.fraud_signals.outliers IS 'Amounts with a robust z-score above 3.5.';
COMMENT ON COLUMN analytics.fraud_signals.max_score IS 'Greatest robust z-score, four decimals.';
COMMENT ON COLUMN analytics.fraud_signals.country_mismatches IS 'Payments from another country than billed.';
COMMENT ON COLUMN analytics.fraud_signals.risk_score IS '1 to 100, from the four signals.';

CREATE INDEX fraud_signals_of_token ON analytics.fraud_signals (user_token);

CREATE TABLE analytics.erasures (
    token_digest bytea PRIMARY KEY,
    rows_removed bigint NOT NULL,
    run_id uuid NOT NULL,
    erased_at timestamptz NOT NULL
);
COMMENT ON TABLE analytics.erasures IS 'Persons erased; no run writes rows of them again.';
COMMENT ON COLUMN analytics.erasures.token_digest IS 'SHA-256 of the token; the token itself is not kept.';
COMMENT ON COLUMN analytics.erasures.rows_removed IS 'Rows removed by all erasures of the token.';
COMMENT ON COLUMN analytics.erasures.run_id IS 'Run that erased last, as in etl.runs.';
COMMENT ON COLUMN analytics.erasures.erased_at IS 'When it did.';

-- What every table of measures ends with.
DO $$
DECLARE
    measures regclass;
BEGIN
    FOREACH measures IN ARRAY ARRAY[
        'public.user_analytics', 'public.user_activity', 'public.order_analytics', 'public.payment_analytics',
        'public.notification_analytics', 'public.channel_analytics', 'analytics.activity_daily',
        'analytics.churn_daily', 'analytics.cohort_retention', 'analytics.engagement_funnel',
        'analytics.order_outcomes', 'analytics.product_daily', 'analytics.payment_failures',
        'analytics.fraud_daily', 'analytics.fraud_signals']::regclass[]
    LOOP
        EXECUTE format('COMMENT ON COLUMN %s.run_id IS %L', measures, 'Run that wrote the row, as in etl.runs.');
        EXECUTE format('COMMENT ON COLUMN %s.computed_at IS %L', measures, 'When the run computed the row.');
    END LOOP;
END $$;

-- The partition of a table for a day's month; made when it is not there.
CREATE FUNCTION analytics.ensure_month(parent regclass, day date) RETURNS void LANGUAGE plpgsql AS $$
DECLARE
    first date := date_trunc('month', day)::date;
    bare text := (SELECT relname FROM pg_class WHERE oid = parent);
BEGIN
    EXECUTE format('CREATE TABLE IF NOT EXISTS analytics.%I PARTITION OF %s FOR VALUES FROM (%L) TO (%L)',
        bare || to_char(first, '"_y"YYYY"m"MM'), parent, first, (first + interval '1 month')::date);
END $$;
COMMENT ON FUNCTION analytics.ensure_month(regclass, date) IS 'Makes the partition of a month when it is not there.';

-- migrate:down
DROP SCHEMA analytics CASCADE;
DROP TABLE public.user_analytics, public.user_activity, public.order_analytics, public.payment_analytics,
    public.notification_analytics, public.channel_analytics;
