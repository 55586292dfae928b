-- Of those registered within the window: verified, and of these the ones who ordered within it.
SELECT $3::date AS funnel_date, 'signup'::text AS funnel, step_no, step, users,
    round(100.0 * users / registered, 2) AS share_of_first
FROM (
    SELECT count(*) AS registered,
        count(*) FILTER (WHERE verified) AS verified,
        count(*) FILTER (WHERE verified AND ordered.person IS NOT NULL) AS ordered
    FROM (
        SELECT {user}::text AS person, {is_verified} AS verified FROM {users}
        WHERE created_at >= $1 AND created_at < $2
    ) AS signup
    LEFT JOIN (
        SELECT DISTINCT {owner}::text AS person FROM {orders} WHERE created_at >= $1 AND created_at < $2
    ) AS ordered ON ordered.person = signup.person
) AS counted
CROSS JOIN LATERAL (VALUES (1, 'registered'::text, registered), (2, 'verified', verified), (3, 'ordered', ordered))
    AS steps (step_no, step, users)
WHERE registered > 0
