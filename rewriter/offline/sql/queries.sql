-- What was said and sent for each interpretation, and how that ended. What we sent in the place of other words is not among it:
-- that it fails or works says something of the rewrite.
WITH summed AS (
  SELECT sent, state, CAST(SUM(turns) AS BIGINT) AS turns, CAST(SUM(success) AS BIGINT) AS success,
         CAST(SUM(failed) AS BIGINT) AS failed, CAST(COUNT(DISTINCT user_no) AS BIGINT) AS users
  FROM counts
  WHERE rewritten = 0
  GROUP BY sent, state
)
SELECT t.locale, t.text AS query, s.state AS node, s.turns, s.success, s.failed, s.users
FROM summed AS s
JOIN texts AS t ON t.id = s.sent
