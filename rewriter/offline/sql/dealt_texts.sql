-- The texts of each part.
WITH used AS (
  SELECT part, said AS id FROM dealt_sessions
  UNION ALL
  SELECT part, hypothesis AS id FROM dealt_sessions
  UNION ALL
  SELECT part, reply AS id FROM dealt_sessions
),
once AS (SELECT part, id FROM used GROUP BY part, id)
SELECT t.id, t.locale, t.kind, t.text, o.part
FROM once AS o
JOIN texts AS t ON t.id = o.id
