-- Every identifier of a user; each becomes a token at once.
SELECT id::text AS person FROM users WHERE id IS NOT NULL
