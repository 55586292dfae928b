-- Every user registered before the window's end, with the days since the last activity.
-- Where the source keeps no date of registration, everybody counts as registered long ago.
-- An infinite last activity is none.
SELECT person::text AS user_token,
    $3::date AS as_of,
    (nullif(u.created_at, '-infinity')::timestamptz AT TIME ZONE $9)::date AS signup_date,
    (seen_at::timestamptz AT TIME ZONE $9)::date AS last_activity_date,
    CASE WHEN seen_at IS NOT NULL
        THEN greatest(0, $3::date - (seen_at::timestamptz AT TIME ZONE $9)::date) END AS days_since_last_activity,
    coalesce(seen_at, u.created_at) < $7 AS is_churned,
    NULL::text AS user_id,
    NULL::text AS status,
    NULL::text AS subscription_type,
    NULL::integer AS days_since_last_login
FROM (SELECT '-infinity'::timestamptz AS created_at) AS absent
CROSS JOIN LATERAL (
    SELECT {user} AS person, created_at, CASE WHEN isfinite({last_seen_at}) THEN {last_seen_at} END AS seen_at
    FROM {users}
) AS u
WHERE u.created_at < $2 AND person IS NOT NULL
ORDER BY u.created_at
