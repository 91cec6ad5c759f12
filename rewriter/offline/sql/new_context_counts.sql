-- What was said and understood, and how it ended, in each context_value that the turns tell of; summed by day and user.
-- A turn counts once in each of its context_values.
WITH placed AS (
  SELECT s.day, s.user_no, s.said, s.rewritten, s.state, c.context_value, s.friction, COALESCE(p.rest, 1000) AS rest,
         CASE WHEN s.ts_ms <= {closed_ms} THEN 1 ELSE 0 END AS closed
  FROM sessions AS s
  JOIN turns AS t ON t.turn_id = s.turn_id
  JOIN context_values AS c ON c.context = CASE WHEN t.context IS NULL THEN '' ELSE t.context END
                         AND c.device_type = CASE WHEN t.device_type IS NULL THEN '' ELSE t.device_type END
  LEFT JOIN spent AS p ON p.user_no = s.user_no AND p.turn_no = s.turn_no
  WHERE s.counted = 0
)
SELECT day, user_no, said, rewritten, state, context_value, CAST(closed AS BIGINT) AS closed, CAST(COUNT(*) AS BIGINT) AS turns,
       CAST(SUM(rest - CAST(FLOOR((rest * friction + 500) / 1000) AS BIGINT)) AS BIGINT) AS success
FROM placed
GROUP BY day, user_no, said, rewritten, state, context_value, closed
