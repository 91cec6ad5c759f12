-- What was sent for each interpretation, and how that ended. Rewritten turns are left out, because they say something about the
-- rewrite. A user counts for at most {user_cap} turns of a text on one day. share and well are sums over users, each of whom counts
-- as one: the part of the user's turns of the text that was understood so, and the part that was understood so and went well.
-- Users who are left out do not count.
WITH by_day AS (
  SELECT c.sent, c.state, c.user_no, c.day, SUM(c.turns) AS turns, SUM(c.success) AS success, SUM(c.failed) AS failed
  FROM counts AS c
  LEFT JOIN left_out AS o ON o.user_no = c.user_no
  WHERE c.rewritten = 0 AND o.user_no IS NULL
  GROUP BY c.sent, c.state, c.user_no, c.day
),
beside AS (
  SELECT sent, state, user_no, turns, success, failed, SUM(turns) OVER (PARTITION BY sent, user_no, day) AS today,
         SUM(turns) OVER (PARTITION BY sent, user_no) AS spoken
  FROM by_day
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
