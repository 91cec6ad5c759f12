-- One round of large-star and small-star (components.py). Large-star: each parent gives way to its own smallest parent. Small-star: all
-- parents of a child are hung on its smallest one.
WITH first AS (SELECT child, MIN(parent) AS parent FROM stars GROUP BY child),
large AS (
  SELECT s.child, COALESCE(f.parent, s.parent) AS parent FROM stars AS s LEFT JOIN first AS f ON f.child = s.parent
),
least AS (SELECT child, MIN(parent) AS parent FROM large GROUP BY child),
small AS (
  SELECT child, parent FROM least
  UNION ALL
  SELECT l.parent AS child, m.parent FROM large AS l JOIN least AS m ON m.child = l.child WHERE l.parent > m.parent
)
SELECT child, parent FROM small GROUP BY child, parent
