-- Every user registered before the window's end, with the days since the last activity.
-- With the columns of the service replaced; both identifiers become the same token.
-- Where the source keeps no date of registration, everybody counts as registered long ago.
-- An infinite last activity is none.
SELECT person::text AS user_token,
    $3::date AS as_of,
    (nullif(u.created_at, '-infinity')::timestamptz AT TIME ZONE $9)::date AS signup_date,
    (seen_at::timestamptz AT TIME ZONE $9)::date AS last_activity_date,
    CASE WHEN seen_at IS NOT NULL
        THEN greatest(0, $3::date - (seen_at::timestamptz AT TIME ZONE $9)::date) END AS days_since_last_activity,
    coalesce(seen_at, u.created_at) < $7 AS is_churned,
    person::text AS user_id,
    CASE WHEN status IS NULL THEN 'unknown'
        WHEN status::text ~ '^[A-Za-z][A-Za-z0-9_.+-]{0,39}$' AND status::text !~ '[0-9]{6}' THEN status::text
        ELSE 'other' END AS status,
    CASE WHEN subscription_type IS NULL THEN 'unknown'
        WHEN subscription_type::text ~ '^[A-Za-z][A-Za-z0-9_.+-]{0,39}$' AND subscription_type::text !~ '[0-9]{6}'
        THEN subscription_type::text
        ELSE 'other' END AS subscription_type,
    CASE WHEN seen_at IS NOT NULL
        THEN greatest(0, $3::date - (seen_at::timestamptz AT TIME ZONE $9)::date) END AS days_since_last_login
FROM (SELECT '-infinity'::timestamptz AS created_at) AS absent
CROSS JOIN LATERAL (
    SELECT id AS person, created_at, CASE WHEN isfinite(last_login_at) THEN last_login_at END AS seen_at,
        status, subscription_type
    FROM users
) AS u
WHERE u.created_at < $2 AND person IS NOT NULL
ORDER BY u.created_at
