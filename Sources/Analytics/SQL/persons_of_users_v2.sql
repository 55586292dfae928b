-- Every token of a user.
SELECT user_token::text AS person FROM users_v2 WHERE user_token IS NOT NULL
