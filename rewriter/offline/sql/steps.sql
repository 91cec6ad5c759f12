-- Every step from a row of the chain, as it is read today: less what age has taken, and split by trust (edge_discount.py) into mass that
-- stands and mass that is lost. A rewrite that worked is a step that we took for the user; one that did not is none.
-- Who says the very same again goes round in the row of what was said.
WITH taken AS (
  SELECT day, user_no, said AS source, CASE WHEN again = 1 THEN said ELSE target END AS target, mass, turns FROM rephrases
  UNION ALL
  SELECT day, user_no, said AS source, state AS target, success AS mass, turns FROM counts WHERE rewritten = 1 AND success > 0
  UNION ALL
  SELECT day, user_no, state AS source, target, mass, turns FROM rephrases WHERE rewritten = 0 AND state <> sent
),
by_day AS (
  SELECT day, user_no, source, target, SUM(mass) AS mass, SUM(turns) AS turns FROM taken GROUP BY day, user_no, source, target
),
aged AS (
  SELECT t.user_no, t.source, t.target, t.turns, CAST(FLOOR(t.mass * a.weight / 1000000) AS BIGINT) AS mass
  FROM by_day AS t
  JOIN row_days AS r ON r.node = t.source
  JOIN ages AS a ON a.age = GREATEST(r.last_day - t.day, 0)
  LEFT JOIN evidence_starts AS c ON c.node = t.source AND c.context_value = ''
  WHERE COALESCE(c.day, 0) <= t.day
)
SELECT s.user_no, s.source, s.target, s.turns, CAST(FLOOR(s.mass * COALESCE(m.trust, 1000) / 1000) AS BIGINT) AS mass,
       CAST(s.mass - FLOOR(s.mass * COALESCE(m.trust, 1000) / 1000) AS BIGINT) AS lost
FROM aged AS s
LEFT JOIN edge_discount AS m ON m.source = s.source AND m.target = s.target
