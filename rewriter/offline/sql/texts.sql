-- Number every text; one that is known keeps its number. beside is 1 for those that are no state of the chain (only sent, responses);
-- they come last, so that the numbers of the states have no gap.
WITH uses AS (
  SELECT locale, 'u' AS kind, said_text AS text, 0 AS beside FROM phrases
  UNION ALL
  SELECT locale, 'u' AS kind, sent_text AS text, CASE WHEN hypothesis = '' THEN 0 ELSE 1 END AS beside FROM phrases
  UNION ALL
  SELECT locale, 'h' AS kind, hypothesis AS text, 0 AS beside FROM phrases WHERE hypothesis <> ''
  UNION ALL
  SELECT DISTINCT locale, 'r' AS kind, response AS text, 1 AS beside FROM turns WHERE response IS NOT NULL
),
once AS (
  SELECT locale, kind, text, MIN(beside) AS beside FROM uses GROUP BY locale, kind, text
)
SELECT id, locale, kind, text, stop FROM known_texts
UNION ALL
SELECT CAST({texts} + ROW_NUMBER() OVER (ORDER BY o.beside, o.locale, o.kind, o.text) - 1 AS BIGINT) AS id, o.locale, o.kind, o.text,
       CAST(CASE WHEN o.kind = 'u' AND s.text IS NOT NULL THEN 1 ELSE 0 END AS BIGINT) AS stop
FROM once AS o
LEFT JOIN stops AS s ON s.locale = o.locale AND s.text = o.text
LEFT JOIN known_texts AS k ON k.locale = o.locale AND k.kind = o.kind AND k.text = o.text
WHERE k.id IS NULL
