-- The steps of the chain, dealt like its rows.
WITH placed AS (
  SELECT e.source, e.target, e.mass, COALESCE(s.parent, e.source) AS component
  FROM edges AS e
  LEFT JOIN stars AS s ON s.child = e.source
)
SELECT source, target, mass, CAST(component - {parts} * FLOOR(component / {parts}) AS BIGINT) AS part FROM placed
