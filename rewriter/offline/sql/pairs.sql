-- Texts that a candidate brings together, each pair once: they are compared here, and not in every candidate.
SELECT p.source, p.target, s.locale, s.text AS source_text, t.text AS target_text
FROM (SELECT source, target FROM candidates GROUP BY source, target) AS p
JOIN texts AS s ON s.id = p.source
JOIN texts AS t ON t.id = p.target
