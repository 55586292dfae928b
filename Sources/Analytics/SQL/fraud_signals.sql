-- Signals by person: payments within an hour, amounts far from the day's median, failures, mismatching countries.
WITH paid AS MATERIALIZED (
    SELECT person, created_at, amount, is_failed, is_mismatch
    FROM (SELECT NULL::text AS billing_country, NULL::text AS ip_country) AS absent
    CROSS JOIN LATERAL (
        SELECT {owner}::text AS person, created_at::timestamptz AS created_at, amount::numeric AS amount,
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
SELECT * FROM (
    SELECT $3::date AS payment_date, person AS user_token,
        count(*) AS transaction_count,
        max(within_hour) AS velocity_per_hour,
        count(*) FILTER (WHERE is_failed) AS failed,
        count(*) FILTER (WHERE score > 3.5) AS outliers,
        coalesce(max(score), 0.0000) AS max_score,
        count(*) FILTER (WHERE is_mismatch) AS country_mismatches,
        least(100, 10 * greatest(0, max(within_hour) - 4) + 15 * count(*) FILTER (WHERE score > 3.5)
            + 10 * greatest(0, count(*) FILTER (WHERE is_failed) - 2)
            + 20 * count(*) FILTER (WHERE is_mismatch))::integer AS risk_score
    FROM (
        SELECT *, count(*) OVER (PARTITION BY person ORDER BY created_at
            RANGE BETWEEN interval '1 hour' PRECEDING AND CURRENT ROW) AS within_hour
        FROM scored WHERE person IS NOT NULL
    ) AS timed
    GROUP BY person
) AS signals
WHERE risk_score > 0
