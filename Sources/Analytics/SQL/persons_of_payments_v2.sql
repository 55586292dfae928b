-- Every token of a payer.
SELECT DISTINCT user_token::text AS person FROM payments_v2 WHERE user_token IS NOT NULL
