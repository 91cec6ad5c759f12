-- The part of each user in the steps of the chain. Who says the very same again goes round in the row of what was said.
WITH parts AS (
  SELECT user_no, sent AS source, CASE WHEN again = 1 THEN sent ELSE target END AS target, mass, turns
  FROM rephrases WHERE rewritten = 0
  UNION ALL
  SELECT user_no, state AS source, target, mass, turns FROM rephrases WHERE rewritten = 1 OR state <> sent
)
SELECT user_no, source, target, CAST(SUM(mass) AS BIGINT) AS mass, CAST(SUM(turns) AS BIGINT) AS turns
FROM parts
GROUP BY user_no, source, target
