-- The touched counts that can move the day from which a row ages. It never goes back: in a row that k users had reached on a day, only
-- that day and later ones matter. Of a row of fewer users all days do.
WITH since AS (
  SELECT t.node, CASE WHEN {min_users} <= n.users THEN r.last_day ELSE 0 END AS day
  FROM touched AS t
  LEFT JOIN known_nodes AS n ON n.node = t.node
  LEFT JOIN known_row_days AS r ON r.node = t.node
)
SELECT c.day, c.user_no, c.said, c.sent, c.rewritten, c.state
FROM counts AS c
LEFT JOIN since AS a ON a.node = c.said
LEFT JOIN since AS d ON d.node = c.state
WHERE a.day <= c.day OR d.day <= c.day
