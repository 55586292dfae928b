-- Failed payments of the window by method and reason, with the reason's share of all failed ones.
SELECT $3::date AS payment_date, payment_method, failure_reason, sum(payments)::bigint AS failed,
    coalesce(sum(amount), 0.00) AS failed_amount,
    round(100.0 * sum(payments) / sum(sum(payments)) OVER (), 2) AS share_of_failures
FROM (
    SELECT payments, amount,
        CASE WHEN raw_method IS NULL THEN 'unknown'
            WHEN raw_method::text ~ '^[A-Za-z][A-Za-z0-9_.+-]{0,39}$' AND raw_method::text !~ '[0-9]{6}'
            THEN raw_method::text
            ELSE 'other' END AS payment_method,
        CASE WHEN raw_reason IS NULL THEN 'unknown'
            WHEN raw_reason::text ~ '^[A-Za-z][A-Za-z0-9_.+-]{0,39}$' AND raw_reason::text !~ '[0-9]{6}'
            THEN raw_reason::text
            ELSE 'other' END AS failure_reason
    FROM (
        SELECT payment_method AS raw_method, failure_reason AS raw_reason, count(*) AS payments,
            sum(amount::numeric) AS amount
        FROM {payments} WHERE created_at >= $1 AND created_at < $2 AND status::text = 'failed'
        GROUP BY payment_method, failure_reason
    ) AS by_reason
) AS labelled
GROUP BY payment_method, failure_reason
