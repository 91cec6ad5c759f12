-- What the restatements took, summed by day and user.
WITH moved AS (
  SELECT c.user_no, c.turn_no, c.next_turn_no, c.verbatim,
         CASE c.ahead WHEN 1 THEN p.mass_1 WHEN 2 THEN p.mass_2 ELSE p.mass_3 END AS mass
  FROM candidates AS c
  JOIN spent AS p ON p.user_no = c.user_no AND p.turn_no = c.turn_no
),
steps AS (
  SELECT s.day, s.user_no, s.said, s.sent, s.rewritten, s.state, t.state AS target,
         CASE WHEN m.verbatim = 1 AND t.rewritten = 0 THEN 1 ELSE 0 END AS again, m.mass,
         CASE WHEN s.ts_ms <= {closed_ms} THEN 1 ELSE 0 END AS closed
  FROM moved AS m
  LEFT JOIN sessions AS s ON s.user_no = m.user_no AND s.turn_no = m.turn_no
  LEFT JOIN sessions AS t ON t.user_no = m.user_no AND t.turn_no = m.next_turn_no
  WHERE m.mass > 0 AND s.counted = 0
)
SELECT day, user_no, said, sent, rewritten, state, target, CAST(again AS BIGINT) AS again, CAST(closed AS BIGINT) AS closed,
       CAST(SUM(mass) AS BIGINT) AS mass, CAST(COUNT(*) AS BIGINT) AS turns
FROM steps
GROUP BY day, user_no, said, sent, rewritten, state, target, again, closed
