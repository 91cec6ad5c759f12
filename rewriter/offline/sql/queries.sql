-- What was sent for each interpretation, and how that ended. Rewritten turns are left out, because they say something about the
-- rewrite. A user counts for at most {user_cap} turns of a text on one day. share and well are sums over users, each of whom counts
-- as one: the part of the user's turns of the text that was understood so, and the part that was understood so and went well.
-- Users who are left out do not count. Two joins take half the time of two windows. DOUBLE adds whole numbers exactly up to 2^53.
WITH by_day AS (
  SELECT c.sent, c.state, c.user_no, c.day, SUM(CAST(c.turns AS DOUBLE)) AS turns, SUM(CAST(c.success AS DOUBLE)) AS success,
         SUM(CAST(c.failed AS DOUBLE)) AS failed
  FROM counts AS c
  LEFT JOIN left_out AS o ON o.user_no = c.user_no
  WHERE c.rewritten = 0 AND o.user_no IS NULL
  GROUP BY c.sent, c.state, c.user_no, c.day
),
days AS (SELECT sent, user_no, day, SUM(turns) AS today FROM by_day GROUP BY sent, user_no, day),
whole AS (SELECT sent, user_no, SUM(today) AS spoken FROM days GROUP BY sent, user_no),
beside AS (
  SELECT b.sent, b.state, b.user_no, b.turns, b.success, b.failed, d.today, w.spoken
  FROM by_day AS b
  JOIN days AS d ON d.sent = b.sent AND d.user_no = b.user_no AND d.day = b.day
  JOIN whole AS w ON w.sent = b.sent AND w.user_no = b.user_no
),
by_user AS (
  SELECT sent, state, user_no, FLOOR(SUM(turns) * 1000 / MAX(spoken)) AS share, FLOOR(SUM(success) / MAX(spoken)) AS well,
         SUM(CASE WHEN today <= {user_cap} THEN turns ELSE FLOOR((turns * {user_cap} + today - 1) / today) END) AS turns,
         SUM(CASE WHEN today <= {user_cap} THEN success ELSE FLOOR(success * {user_cap} / today) END) AS success,
         SUM(CASE WHEN today <= {user_cap} THEN failed ELSE FLOOR(failed * {user_cap} / today) END) AS failed
  FROM beside
  GROUP BY sent, state, user_no
),
summed AS (
  SELECT sent, state, CAST(SUM(turns) AS BIGINT) AS turns, CAST(SUM(success) AS BIGINT) AS success,
         CAST(SUM(failed) AS BIGINT) AS failed, CAST(COUNT(*) AS BIGINT) AS users, CAST(SUM(share) AS BIGINT) AS share,
         CAST(SUM(well) AS BIGINT) AS well
  FROM by_user
  GROUP BY sent, state
)
SELECT t.locale, t.text AS query, s.state AS node, s.turns, s.success, s.failed, s.users, s.share, s.well
FROM summed AS s
JOIN texts AS t ON t.id = s.sent
