-- Users registered within the window; of those, the verified and the premium.
SELECT $3::date AS registration_date,
    count(*) AS total_registrations,
    count(*) FILTER (WHERE {is_verified}) AS verified_users,
    count(*) FILTER (WHERE lower({tier}::text) = 'premium') AS premium_signups
FROM {users}
WHERE created_at >= $1 AND created_at < $2
HAVING count(*) > 0
