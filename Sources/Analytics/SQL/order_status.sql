-- Orders of the window by status: count, revenue, average. A status that is no code word is counted as "other".
SELECT $3::date AS order_date, status, sum(orders)::bigint AS order_count,
    coalesce(sum(revenue), 0.00) AS total_revenue,
    CASE WHEN sum(priced) = 0 THEN 0.00 ELSE round(sum(revenue) / sum(priced), 2) END AS avg_order_value
FROM (
    SELECT orders, priced, revenue,
        CASE WHEN raw IS NULL THEN 'unknown'
            WHEN raw::text ~ '^[A-Za-z][A-Za-z0-9_.+-]{0,39}$' AND raw::text !~ '[0-9]{6}'
            THEN raw::text
            ELSE 'other' END AS status
    FROM (
        SELECT status AS raw, count(*) AS orders, count(total_amount) AS priced, sum(total_amount::numeric) AS revenue
        FROM {orders} WHERE created_at >= $1 AND created_at < $2
        GROUP BY status
    ) AS by_status
) AS labelled
GROUP BY status
