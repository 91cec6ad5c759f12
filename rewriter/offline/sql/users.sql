-- Number the users in the order in which they came, so that nothing hangs on the folder's key; who is known keeps the number.
SELECT user_no, user_id FROM known_users
UNION ALL
SELECT CAST({users} + ROW_NUMBER() OVER (ORDER BY n.came, n.first_turn, n.user_id) - 1 AS BIGINT) AS user_no, n.user_id
FROM (SELECT user_id, MIN(ts_ms) AS came, MIN(turn_id) AS first_turn FROM turns GROUP BY user_id) AS n
LEFT JOIN known_users AS k ON k.user_id = n.user_id
WHERE k.user_no IS NULL
