-- Every identifier of a payer; each becomes a token at once.
SELECT DISTINCT user_id::text AS person FROM payments WHERE user_id IS NOT NULL
