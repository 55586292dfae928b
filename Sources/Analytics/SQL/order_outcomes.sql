-- How the window's orders ended: shares of the cancelled and of the refunded, in percent of all.
SELECT $3::date AS order_date,
    count(*) AS orders,
    count(*) FILTER (WHERE status::text = 'completed') AS completed,
    count(*) FILTER (WHERE status::text = 'cancelled') AS cancelled,
    count(*) FILTER (WHERE status::text = 'refunded') AS refunded,
    round(100.0 * count(*) FILTER (WHERE status::text = 'cancelled') / count(*), 2) AS cancel_share,
    round(100.0 * count(*) FILTER (WHERE status::text = 'refunded') / count(*), 2) AS refund_share,
    coalesce(sum(total_amount::numeric) FILTER (WHERE status::text = 'refunded'), 0.00) AS refunded_amount
FROM {orders}
WHERE created_at >= $1 AND created_at < $2
HAVING count(*) > 0
