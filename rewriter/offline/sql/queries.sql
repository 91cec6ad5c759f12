-- What was said and sent for each interpretation, and how that ended. What we sent in the place of other words is not among it:
-- that it fails or works says something of the rewrite. share and well say it by users, who are one each, however often they speak:
-- the part of a user's turns of the text that was understood so, and the part that was and went well.
WITH by_user AS (
  SELECT sent, state, user_no, SUM(turns) AS turns, SUM(success) AS success, SUM(failed) AS failed
  FROM counts
  WHERE rewritten = 0
  GROUP BY sent, state, user_no
),
beside AS (
  SELECT sent, state, turns, success, failed, SUM(turns) OVER (PARTITION BY sent, user_no) AS spoken FROM by_user
),
summed AS (
  SELECT sent, state, CAST(SUM(turns) AS BIGINT) AS turns, CAST(SUM(success) AS BIGINT) AS success,
         CAST(SUM(failed) AS BIGINT) AS failed, CAST(COUNT(*) AS BIGINT) AS users,
         CAST(SUM(FLOOR(turns * 1000 / spoken)) AS BIGINT) AS share, CAST(SUM(FLOOR(success / spoken)) AS BIGINT) AS well
  FROM beside
  GROUP BY sent, state
)
SELECT t.locale, t.text AS query, s.state AS node, s.turns, s.success, s.failed, s.users, s.share, s.well
FROM summed AS s
JOIN texts AS t ON t.id = s.sent
