-- Amounts of the window far from its median, by robust z-score, and payments from another country than billed.
WITH paid AS MATERIALIZED (
    SELECT created_at, amount, is_failed, is_mismatch
    FROM (SELECT NULL::text AS billing_country, NULL::text AS ip_country) AS absent
    CROSS JOIN LATERAL (
        SELECT created_at::timestamptz AS created_at, amount::numeric AS amount,
            status::text IS NOT DISTINCT FROM 'failed' AS is_failed,
            coalesce(upper(billing_country::text) <> upper(ip_country::text), false) AS is_mismatch
        FROM {payments} WHERE created_at >= $1 AND created_at < $2
    ) AS p
), middle AS (
    SELECT percentile_disc(0.5) WITHIN GROUP (ORDER BY amount) AS median FROM paid
), spread AS (
    SELECT percentile_disc(0.5) WITHIN GROUP (ORDER BY abs(amount - median)) AS deviation FROM paid CROSS JOIN middle
), scored AS (
    SELECT paid.*, median, deviation,
        CASE WHEN deviation > 0 THEN round(0.6745 * abs(amount - median) / deviation, 4) END AS score
    FROM paid CROSS JOIN middle CROSS JOIN spread
)
SELECT $3::date AS payment_date,
    count(*) AS transaction_count,
    max(median) AS median_amount,
    max(deviation) AS median_deviation,
    count(*) FILTER (WHERE score > 3.5) AS outliers,
    coalesce(max(score), 0.0000) AS max_score,
    CASE WHEN $10::text[] @> '{billing_country,ip_country}' THEN count(*) FILTER (WHERE is_mismatch) END
        AS country_mismatches
FROM scored
HAVING count(*) > 0
