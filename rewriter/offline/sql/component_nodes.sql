-- The rows of the chain, dealt into {parts} parts by component. A node without a parent is the smallest of its component.
WITH placed AS (
  SELECT n.node, n.success, n.failure, COALESCE(s.parent, n.node) AS component
  FROM nodes AS n
  LEFT JOIN stars AS s ON s.child = n.node
)
SELECT node, success, failure, CAST(component - {parts} * FLOOR(component / {parts}) AS BIGINT) AS part FROM placed
