-- What was sold within the window by product, of orders not cancelled, ranked by revenue.
SELECT $3::date AS order_date, product_id, orders, quantity, revenue,
    row_number() OVER (ORDER BY revenue DESC, product_id COLLATE "C")::integer AS revenue_rank
FROM (
    SELECT CASE WHEN i.product_id::text ~ '^[A-Za-z0-9_.:-]{1,64}$' THEN i.product_id::text
            ELSE 'other' END AS product_id,
        count(DISTINCT o.id) AS orders,
        coalesce(sum(i.quantity), 0)::bigint AS quantity,
        coalesce(sum(i.quantity * i.unit_price::numeric), 0.00) AS revenue
    FROM {orders} AS o
    JOIN {order_items} AS i ON i.order_id = o.id
    WHERE o.created_at >= $1 AND o.created_at < $2 AND o.status::text IS DISTINCT FROM 'cancelled'
    GROUP BY 1
) AS sold
