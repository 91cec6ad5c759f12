-- The part of each user in the rows of the chain. A turn counts in the row of what was said, and in the row of how it was
-- understood, once where that is the same text; a rewritten one only in the row of what was said, where it says nothing of success
-- as spoken, though its failure is one. A row of zeros keeps a place for what was understood.
-- DOUBLE adds whole numbers exactly up to 2^53, in half the room that an engine may take for sums of BIGINT.
WITH parts AS (
  SELECT day, user_no, said AS node, CASE WHEN rewritten = 1 THEN 0 ELSE turns END AS turns, turns AS charged,
         CASE WHEN rewritten = 1 THEN 0 ELSE success END AS success, failure
  FROM counts
  UNION ALL
  SELECT day, user_no, state AS node, turns, turns AS charged, success, failure FROM counts WHERE rewritten = 0 AND state <> sent
  UNION ALL
  SELECT day, user_no, state AS node, 0 AS turns, 0 AS charged, 0 AS success, 0 AS failure FROM counts WHERE rewritten = 1
),
by_day AS (
  SELECT day, user_no, node, SUM(CAST(turns AS DOUBLE)) AS turns, SUM(CAST(charged AS DOUBLE)) AS charged,
         SUM(CAST(success AS DOUBLE)) AS success, SUM(CAST(failure AS DOUBLE)) AS failure
  FROM parts
  GROUP BY day, user_no, node
),
aged AS (
  SELECT p.user_no, p.node, p.day, p.turns, FLOOR(p.turns * a.weight / 1000) AS spoken, FLOOR(p.charged * a.weight / 1000) AS mass,
         FLOOR(p.success * a.weight / 1000000) AS success, FLOOR(p.failure * a.weight / 1000000) AS failure
  FROM by_day AS p
  JOIN row_days AS r ON r.node = p.node
  JOIN ages AS a ON a.age = GREATEST(r.last_day - p.day, 0)
  LEFT JOIN evidence_starts AS c ON c.node = p.node AND c.context_value = ''
  WHERE COALESCE(c.day, 0) <= p.day
  UNION ALL
  SELECT s.user_no, s.source AS node, r.last_day AS day, 0 AS turns, 0 AS spoken, 0 AS mass, 0 AS success, s.lost AS failure
  FROM steps AS s
  JOIN row_days AS r ON r.node = s.source
  WHERE s.lost > 0
)
SELECT user_no, node, CAST(SUM(CAST(turns AS DOUBLE)) AS BIGINT) AS turns, CAST(SUM(CAST(spoken AS DOUBLE)) AS BIGINT) AS spoken,
       CAST(SUM(CAST(mass AS DOUBLE)) AS BIGINT) AS mass, CAST(SUM(CAST(success AS DOUBLE)) AS BIGINT) AS success,
       CAST(SUM(CAST(failure AS DOUBLE)) AS BIGINT) AS failure, MIN(day) AS first_day, MAX(day) AS last_day
FROM aged
GROUP BY user_no, node
