-- Every identifier of a user; v1 has plain ones, each of which becomes a token at once.
SELECT {user}::text AS person FROM {users} WHERE {user} IS NOT NULL
