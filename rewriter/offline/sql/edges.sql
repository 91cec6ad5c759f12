-- The steps of the chain, scaled as the rows that they leave; without those of users who are left out.
WITH capped AS (
  SELECT e.source, e.target,
         CASE WHEN n.mass <= {user_cap} * 1000 THEN e.mass ELSE FLOOR(e.mass * {user_cap} * 1000 / n.mass) END AS mass
  FROM user_edges AS e
  JOIN user_nodes AS n ON n.user_no = e.user_no AND n.node = e.source
  LEFT JOIN left_out AS o ON o.user_no = e.user_no
  WHERE o.user_no IS NULL
)
SELECT source, target, CAST(SUM(mass) AS BIGINT) AS mass, CAST(COUNT(*) AS BIGINT) AS users
FROM capped
WHERE mass > 0
GROUP BY source, target
