-- The part of each user in the rows of the chain. A turn counts in the row of what was said, and in the row of how it was
-- understood; once where that is the same text.
WITH parts AS (
  SELECT user_no, sent AS node, day, turns, success, failure FROM counts WHERE rewritten = 0
  UNION ALL
  SELECT user_no, state AS node, day, turns, success, failure FROM counts WHERE rewritten = 1 OR state <> sent
)
SELECT user_no, node, CAST(SUM(turns) AS BIGINT) AS turns, CAST(SUM(success) AS BIGINT) AS success,
       CAST(SUM(failure) AS BIGINT) AS failure, MIN(day) AS first_day, MAX(day) AS last_day
FROM parts
GROUP BY user_no, node
