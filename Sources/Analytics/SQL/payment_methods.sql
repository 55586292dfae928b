-- Payments of the window by method; the mean processing time is that of the successful.
SELECT $3::date AS payment_date, payment_method, sum(payments)::bigint AS transaction_count,
    coalesce(sum(amount), 0.00) AS total_amount,
    sum(successful)::bigint AS successful,
    sum(failed)::bigint AS failed,
    round(100.0 * sum(successful) / sum(payments), 2) AS success_rate,
    CASE WHEN sum(timed) = 0 THEN 0.00 ELSE round(sum(spent) / sum(timed), 2) END AS avg_processing_time
FROM (
    SELECT payments, amount, successful, failed, timed, spent,
        CASE WHEN raw IS NULL THEN 'unknown'
            WHEN raw::text ~ '^[A-Za-z][A-Za-z0-9_.+-]{0,39}$' AND raw::text !~ '[0-9]{6}'
            THEN raw::text
            ELSE 'other' END AS payment_method
    FROM (
        SELECT payment_method AS raw, count(*) AS payments, sum(amount::numeric) AS amount,
            count(*) FILTER (WHERE status::text = 'success') AS successful,
            count(*) FILTER (WHERE status::text = 'failed') AS failed,
            count(processing_time_ms) FILTER (WHERE status::text = 'success') AS timed,
            sum(processing_time_ms::numeric) FILTER (WHERE status::text = 'success') AS spent
        FROM {payments} WHERE created_at >= $1 AND created_at < $2
        GROUP BY payment_method
    ) AS by_method
) AS labelled
GROUP BY payment_method
