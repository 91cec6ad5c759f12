-- What no restatement took is split by friction into failure and success; summed by day and user.
WITH spending AS (
  SELECT s.day, s.user_no, s.said, s.sent, s.rewritten, s.state, s.rule, s.share, s.friction, COALESCE(s.failed, 0) AS failed,
         COALESCE(p.rest, 1000) AS rest
  FROM sessions AS s
  LEFT JOIN spent AS p ON p.user_no = s.user_no AND p.turn_no = s.turn_no
),
split AS (
  SELECT day, user_no, said, sent, rewritten, state, rule, share, failed, rest,
         CAST(FLOOR((rest * friction + 500) / 1000) AS BIGINT) AS failure
  FROM spending
)
SELECT day, user_no, said, sent, rewritten, state, rule, share, CAST(COUNT(*) AS BIGINT) AS turns,
       CAST(SUM(failed) AS BIGINT) AS failed, CAST(SUM(rest - failure) AS BIGINT) AS success, CAST(SUM(failure) AS BIGINT) AS failure
FROM split
GROUP BY day, user_no, said, sent, rewritten, state, rule, share
