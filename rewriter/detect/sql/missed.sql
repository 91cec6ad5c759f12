-- Whether a turn was understood as meant: 1 where something that was meant is not in its hypothesis; and whether its other
-- hearings tell what was meant.
SELECT m.row, CAST(MAX(CASE WHEN i.item IS NULL THEN 1 ELSE 0 END) AS BIGINT) AS missed, CAST(MAX(m.other) AS BIGINT) AS other
FROM meant AS m
JOIN turns AS t ON t.row = m.row
LEFT JOIN items AS i ON i.hypothesis = t.hypothesis AND i.item = m.item
GROUP BY m.row
