-- Of each week's signups, those seen within the seven days that end with this one; 26 weeks back.
SELECT $3::date AS activity_date,
    cohort_week,
    (($3::date - cohort_week) / 7)::integer AS weeks_since_signup,
    count(*) AS cohort_size,
    count(*) FILTER (WHERE ordered.person IS NOT NULL OR (seen_at >= $4 AND seen_at < $2)) AS active_users,
    round(100.0 * count(*) FILTER (WHERE ordered.person IS NOT NULL OR (seen_at >= $4 AND seen_at < $2))
        / count(*), 2) AS retention_rate
FROM (
    SELECT {user}::text AS person, {last_seen_at} AS seen_at,
        date_trunc('week', created_at::timestamptz AT TIME ZONE $9)::date AS cohort_week
    FROM {users} WHERE created_at >= $8 AND created_at < $2
) AS cohort
LEFT JOIN (
    SELECT DISTINCT {owner}::text AS person FROM {orders} WHERE created_at >= $4 AND created_at < $2
) AS ordered ON ordered.person = cohort.person
GROUP BY cohort_week
