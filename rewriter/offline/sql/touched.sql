-- The texts whose counts changed today: what was said and understood in the turns of today, among them those that were open; and forced, of
-- which something else changed. Sums by what was sent look at turns that were not rewritten, where it is what was said.
WITH nodes AS (
  SELECT said AS node FROM new_counts
  UNION ALL
  SELECT state AS node FROM new_counts
  UNION ALL
  SELECT node FROM forced
)
SELECT node FROM nodes GROUP BY node
