-- The steps of the chain as pairs of nodes, the larger one (child) with the smaller one (parent): a step joins both, whoever said it first.
WITH pairs AS (
  SELECT source AS child, target AS parent FROM edges WHERE source > target
  UNION ALL
  SELECT target AS child, source AS parent FROM edges WHERE source < target
)
SELECT child, parent FROM pairs GROUP BY child, parent
