-- The newest evidence of each row of the chain: older evidence has lost weight by then, however long ago that was.
WITH heard_of AS (
  SELECT said AS node, day FROM counts
  UNION ALL
  SELECT state AS node, day FROM counts WHERE rewritten = 1 OR state <> sent
)
SELECT node, MAX(day) AS last_day
FROM heard_of
GROUP BY node
