-- The texts of the turns that are looked at; of those of all days a kept detector needs no others.
WITH used AS (
  SELECT said AS id FROM sessions
  UNION
  SELECT hypothesis AS id FROM sessions
  UNION
  SELECT reply AS id FROM sessions
)
SELECT t.id, t.locale, t.kind, t.text
FROM used AS u
JOIN texts AS t ON t.id = u.id
