-- What the restatements took, in each context_value of the turns that were restated. Who says the very same again stays.
-- CASE and not COALESCE: of a log that has no context at all, DuckDB 2.0 cannot bind the latter.
WITH moved AS (
  SELECT c.user_no, c.turn_no, c.next_turn_no, c.verbatim,
         CASE c.ahead WHEN 1 THEN p.mass_1 WHEN 2 THEN p.mass_2 ELSE p.mass_3 END AS mass
  FROM candidates AS c
  JOIN spent AS p ON p.user_no = c.user_no AND p.turn_no = c.turn_no
),
placed AS (
  SELECT s.day, s.user_no, s.said, c.context_value,
         CASE WHEN m.verbatim = 1 AND r.rewritten = 0 THEN s.said ELSE r.state END AS target, m.mass,
         CASE WHEN s.ts_ms <= {closed_ms} THEN 1 ELSE 0 END AS closed
  FROM moved AS m
  JOIN sessions AS s ON s.user_no = m.user_no AND s.turn_no = m.turn_no
  JOIN sessions AS r ON r.user_no = m.user_no AND r.turn_no = m.next_turn_no
  JOIN turns AS t ON t.turn_id = s.turn_id
  JOIN context_values AS c ON c.context = CASE WHEN t.context IS NULL THEN '' ELSE t.context END
                         AND c.device_type = CASE WHEN t.device_type IS NULL THEN '' ELSE t.device_type END
  WHERE m.mass > 0 AND s.counted = 0
)
SELECT day, user_no, said, context_value, target, CAST(closed AS BIGINT) AS closed, CAST(SUM(mass) AS BIGINT) AS mass
FROM placed
GROUP BY day, user_no, said, context_value, target, closed
