-- Users whose last activity lies so far back on this day for the first time, of those who had not churned before it.
SELECT $3::date AS churn_date,
    count(*) AS users_before,
    count(*) FILTER (WHERE seen_at < $7) AS churned_users,
    round(100.0 * count(*) FILTER (WHERE seen_at < $7) / count(*), 2) AS churn_rate
FROM (
    SELECT {last_seen_at}::timestamptz AS seen_at FROM {users}
    WHERE {last_seen_at} >= $6 AND {last_seen_at} < 'infinity' AND created_at < $2
    UNION ALL
    SELECT created_at::timestamptz FROM {users}
    WHERE isfinite({last_seen_at}) IS NOT TRUE AND created_at >= $6 AND created_at < $2
) AS not_churned
HAVING count(*) > 0
