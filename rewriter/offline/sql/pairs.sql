-- The pairs of different texts among the candidates, once each, with the texts.
SELECT p.source, p.target, s.locale, s.text AS source_text, t.text AS target_text
FROM (SELECT DISTINCT source, target FROM candidates WHERE source <> target) AS p
LEFT JOIN texts AS s ON s.id = p.source
LEFT JOIN texts AS t ON t.id = p.target
