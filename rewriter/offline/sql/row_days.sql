-- The day from which the evidence of each row of the chain ages: the newest day that {min_users} users had reached, so that fewer
-- accounts cannot make the evidence of all others look old. A row of fewer users ages from its newest day. Node -1 is the whole log.
WITH uses AS (
  SELECT said AS node, user_no, day FROM counts
  UNION ALL
  SELECT state AS node, user_no, day FROM counts WHERE rewritten = 1 OR state <> sent
),
newest AS (
  SELECT node, user_no, MAX(day) AS day FROM uses GROUP BY node, user_no
  UNION ALL
  SELECT CAST(-1 AS BIGINT) AS node, user_no, MAX(day) AS day FROM uses GROUP BY user_no
),
ranked AS (
  SELECT node, day, ROW_NUMBER() OVER (PARTITION BY node ORDER BY day DESC, user_no) AS place FROM newest
)
SELECT node, COALESCE(MAX(CASE WHEN place = {min_users} THEN day END), MAX(day)) AS last_day
FROM ranked
GROUP BY node
