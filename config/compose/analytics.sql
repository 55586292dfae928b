-- A shop whose last 40 days the analytics read, and an empty warehouse; made-up, without a name or an address.
CREATE DATABASE warehouse;
CREATE DATABASE shop;
\connect shop
CREATE TABLE users_v2 AS
SELECT 'usr_1_' || encode(sha256(n::text::bytea), 'hex') AS user_token,
    date_trunc('day', now()) - (n % 40) * interval '1 day' + (n % 23) * interval '1 hour' AS created_at, 'active' AS status,
    CASE WHEN n % 7 = 0 THEN 'premium' ELSE 'free' END AS subscription_tier,
    CASE WHEN n % 3 > 0 THEN now() - (n % 40) * interval '1 day' END AS email_verified_at,
    now() - (n % 11) * interval '1 day' AS last_activity_at
FROM generate_series(1, 800) n;
CREATE TABLE orders_v2 AS
SELECT n AS id, 'usr_1_' || encode(sha256((1 + n % 800)::text::bytea), 'hex') AS user_token,
    now() - n * interval '12 minutes' AS created_at,
    (ARRAY['completed', 'completed', 'completed', 'pending', 'cancelled', 'refunded'])[1 + n % 6] AS status,
    (500 + (n * 7919) % 9000)::numeric / 100 AS total_amount
FROM generate_series(1, 4800) n;
CREATE TABLE order_items_v2 AS
SELECT id AS order_id, 'p-' || id % 60 AS product_id, 1 + id % 3 AS quantity, round(total_amount / (1 + id % 3), 2) AS unit_price
FROM orders_v2;
CREATE TABLE payments_v2 AS
SELECT user_token, created_at, (ARRAY['credit_card', 'paypal', 'bank_transfer'])[1 + id % 3] AS payment_method,
    total_amount AS amount, CASE WHEN id % 11 = 0 THEN 'failed' ELSE 'success' END AS status,
    20 + id % 900 AS processing_time_ms, CASE WHEN id % 11 = 0 THEN 'expired_card' END AS failure_reason
FROM orders_v2;
CREATE TABLE notifications_v2 AS
SELECT sent_at, (ARRAY['email', 'sms', 'push'])[1 + n % 3] AS channel,
    (ARRAY['welcome', 'offer', 'receipt', 'reminder'])[1 + n % 4] AS notification_type,
    CASE WHEN n % 9 > 0 THEN sent_at END AS delivered_at, CASE WHEN n % 3 = 1 THEN sent_at END AS opened_at,
    CASE WHEN n % 12 = 1 THEN sent_at END AS clicked_at
FROM (SELECT n, now() - n * interval '9 minutes' AS sent_at FROM generate_series(1, 6400) n) AS made;
CREATE INDEX ON users_v2 (created_at);
CREATE INDEX ON users_v2 (last_activity_at);
CREATE INDEX ON orders_v2 (created_at);
CREATE INDEX ON order_items_v2 (order_id);
CREATE INDEX ON payments_v2 (created_at);
CREATE INDEX ON notifications_v2 (sent_at);
