-- Users seen within the day, the seven and the thirty days that end with it: registered, ordered, or last active then.
SELECT $3::date AS activity_date,
    count(*) FILTER (WHERE last_seen >= $1) AS daily_active,
    count(*) FILTER (WHERE last_seen >= $4) AS weekly_active,
    count(*) AS monthly_active,
    round(100.0 * count(*) FILTER (WHERE last_seen >= $1) / count(*), 2) AS stickiness
FROM (
    SELECT person, max(seen_at) AS last_seen
    FROM (
        SELECT {owner}::text AS person, created_at::timestamptz AS seen_at FROM {orders}
        WHERE created_at >= $5 AND created_at < $2
        UNION ALL
        SELECT {user}::text, {last_seen_at}::timestamptz FROM {users}
        WHERE {last_seen_at} >= $5 AND {last_seen_at} < $2
        UNION ALL
        SELECT {user}::text, created_at::timestamptz FROM {users}
        WHERE created_at >= $5 AND created_at < $2
    ) AS seen
    WHERE person IS NOT NULL
    GROUP BY person
) AS per_user
HAVING count(*) > 0
