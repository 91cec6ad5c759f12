-- The rows of the chain. More than {user_cap} turns of one user in one row weigh no more than {user_cap}.
WITH capped AS (
  SELECT node, turns, first_day, last_day,
         CASE WHEN mass <= {user_cap} * 1000 THEN success ELSE FLOOR(success * {user_cap} * 1000 / mass) END AS success,
         CASE WHEN mass <= {user_cap} * 1000 THEN failure ELSE FLOOR(failure * {user_cap} * 1000 / mass) END AS failure
  FROM user_nodes
),
summed AS (
  SELECT node, CAST(SUM(success) AS BIGINT) AS success, CAST(SUM(failure) AS BIGINT) AS failure,
         CAST(SUM(turns) AS BIGINT) AS turns, CAST(SUM(CASE WHEN turns > 0 THEN 1 ELSE 0 END) AS BIGINT) AS users,
         MIN(first_day) AS first_day, MAX(last_day) AS last_day
  FROM capped
  GROUP BY node
)
SELECT s.node, t.locale, t.kind, t.text AS state, s.success, s.failure, s.turns, s.users, s.first_day, s.last_day
FROM summed AS s
JOIN texts AS t ON t.id = s.node
