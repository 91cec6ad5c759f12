-- The rows of the chain. More than {user_cap} turns of one user in one row weigh no more than {user_cap}. Who is left out weighs nothing,
-- and only keeps the place of what nobody else said.
WITH weighed AS (
  SELECT n.node, n.first_day, n.last_day, CASE WHEN o.user_no IS NULL THEN 1 ELSE 0 END AS counts,
         CASE WHEN o.user_no IS NULL THEN n.turns ELSE 0 END AS turns,
         CASE WHEN o.user_no IS NULL THEN n.mass ELSE 0 END AS mass,
         CASE WHEN o.user_no IS NULL THEN n.success ELSE 0 END AS success,
         CASE WHEN o.user_no IS NULL THEN n.failure ELSE 0 END AS failure
  FROM user_nodes AS n
  LEFT JOIN left_out AS o ON o.user_no = n.user_no
),
capped AS (
  SELECT node, turns, first_day, last_day, counts,
         CASE WHEN mass <= {user_cap} * 1000 THEN success ELSE FLOOR(success * {user_cap} * 1000 / mass) END AS success,
         CASE WHEN mass <= {user_cap} * 1000 THEN failure ELSE FLOOR(failure * {user_cap} * 1000 / mass) END AS failure
  FROM weighed
),
summed AS (
  SELECT node, CAST(SUM(success) AS BIGINT) AS success, CAST(SUM(failure) AS BIGINT) AS failure,
         CAST(SUM(turns) AS BIGINT) AS turns, CAST(SUM(CASE WHEN turns > 0 THEN 1 ELSE 0 END) AS BIGINT) AS users,
         COALESCE(MIN(CASE WHEN counts = 1 THEN first_day END), MIN(first_day)) AS first_day,
         COALESCE(MAX(CASE WHEN counts = 1 THEN last_day END), MAX(last_day)) AS last_day
  FROM capped
  GROUP BY node
)
SELECT s.node, t.locale, t.kind, t.text AS state, s.success, s.failure, s.turns, s.users, s.first_day, s.last_day
FROM summed AS s
JOIN texts AS t ON t.id = s.node
