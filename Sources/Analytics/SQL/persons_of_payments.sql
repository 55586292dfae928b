-- Every identifier of a payer; v1 has plain ones, each of which becomes a token at once.
SELECT DISTINCT {owner}::text AS person FROM {payments} WHERE {owner} IS NOT NULL
