-- missed is 1 where an item that was meant is not in the hypothesis of the turn. other is 1 where the meaning was taken from the
-- other hearings of the turn.
SELECT m.row, CAST(MAX(CASE WHEN i.item IS NULL THEN 1 ELSE 0 END) AS BIGINT) AS missed, CAST(MAX(m.other) AS BIGINT) AS other
FROM meant AS m
JOIN turns AS t ON t.row = m.row
LEFT JOIN items AS i ON i.hypothesis = t.hypothesis AND i.item = m.item
GROUP BY m.row
