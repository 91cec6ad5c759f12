-- Requests that failed, each with what was asked next and understood as something else, each pair of texts and meanings once: one may be
-- a second choice.
WITH pairs AS (
  SELECT c.source, c.target, COALESCE(a.hypothesis, -1) AS meant, b.hypothesis AS later
  FROM all_scores AS s
  JOIN candidates AS c ON c.user_no = s.user_no AND c.turn_no = s.turn_no AND c.ahead = s.ahead
  JOIN sessions AS a ON a.user_no = c.user_no AND a.turn_no = c.turn_no
  JOIN sessions AS b ON b.user_no = c.user_no AND b.turn_no = c.next_turn_no
  WHERE c.source_failed = 1 AND c.source <> c.target AND COALESCE(a.hypothesis, -1) <> b.hypothesis
  GROUP BY c.source, c.target, COALESCE(a.hypothesis, -1), b.hypothesis
)
SELECT p.source, p.target, p.meant, p.later, t.locale, t.text AS source_text, u.text AS target_text,
       COALESCE(h.text, '') AS source_meant, i.text AS target_meant
FROM pairs AS p
JOIN texts AS t ON t.id = p.source
JOIN texts AS u ON u.id = p.target
LEFT JOIN texts AS h ON h.id = p.meant
JOIN texts AS i ON i.id = p.later
