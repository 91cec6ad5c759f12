-- How many nodes keep the stars from being the components: those of several parents, and those whose parent has a parent.
WITH children AS (SELECT child, COUNT(*) AS parents FROM stars GROUP BY child),
open AS (
  SELECT child FROM children WHERE parents > 1
  UNION ALL
  SELECT s.child FROM stars AS s JOIN children AS c ON c.child = s.parent
)
SELECT CAST(COUNT(*) AS BIGINT) AS nodes FROM open
