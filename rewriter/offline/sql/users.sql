-- Number the users; who is known keeps the number.
SELECT user_no, user_id FROM known_users
UNION ALL
SELECT CAST({users} + ROW_NUMBER() OVER (ORDER BY n.user_id) - 1 AS BIGINT) AS user_no, n.user_id
FROM (SELECT DISTINCT user_id FROM turns) AS n
LEFT JOIN known_users AS k ON k.user_id = n.user_id
WHERE k.user_no IS NULL
