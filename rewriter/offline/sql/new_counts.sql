-- What no restatement took is split by friction into failure and success; summed by day and user. What is not closed is counted
-- apart: the next day may still say how it ended.
WITH spending AS (
  SELECT s.day, s.user_no, s.said, s.sent, s.rewritten, s.state, s.rule, s.share, s.friction, COALESCE(s.failed, 0) AS failed,
         COALESCE(p.rest, 1000) AS rest, CASE WHEN s.ts_ms <= {closed_ms} THEN 1 ELSE 0 END AS closed
  FROM sessions AS s
  LEFT JOIN spent AS p ON p.user_no = s.user_no AND p.turn_no = s.turn_no
  WHERE s.counted = 0
),
split AS (
  SELECT day, user_no, said, sent, rewritten, state, rule, share, failed, rest, closed,
         CAST(FLOOR((rest * friction + 500) / 1000) AS BIGINT) AS failure
  FROM spending
)
SELECT day, user_no, said, sent, rewritten, state, rule, share, CAST(closed AS BIGINT) AS closed, CAST(COUNT(*) AS BIGINT) AS turns,
       CAST(SUM(failed) AS BIGINT) AS failed, CAST(SUM(rest - failure) AS BIGINT) AS success, CAST(SUM(failure) AS BIGINT) AS failure
FROM split
GROUP BY day, user_no, said, sent, rewritten, state, rule, share, closed
