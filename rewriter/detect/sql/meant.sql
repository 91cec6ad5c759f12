-- What each turn that is asked about was meant to say, item by item. given: the interpretations of a text without friction, with the number of users;
-- sayers: the number of users who said the text. The user of the turn is left out of both counts.
-- other is 0 for the meaning of the utterance itself, and 1 for those of its other hearings, which are used if it has none.
WITH understood AS (
  SELECT DISTINCT t.said, t.user_no, i.item
  FROM turns AS t JOIN items AS i ON i.hypothesis = t.hypothesis
  WHERE t.friction < 500
),
said_by AS (SELECT DISTINCT said, user_no FROM turns),
given AS (SELECT said, item, COUNT(*) AS users FROM understood GROUP BY said, item),
sayers AS (SELECT said, COUNT(*) AS users FROM said_by GROUP BY said),
heard AS (
  SELECT row, user_no, 0 AS other, said AS text FROM asked
  UNION ALL
  SELECT h.row, t.user_no, 1 AS other, h.text FROM hearings AS h JOIN asked AS t ON t.row = h.row
),
own AS (
  SELECT DISTINCT h.row, h.other, g.item
  FROM heard AS h
  JOIN given AS g ON g.said = h.text
  JOIN sayers AS s ON s.said = h.text
  LEFT JOIN said_by AS b ON b.said = h.text AND b.user_no = h.user_no
  LEFT JOIN understood AS u ON u.said = h.text AND u.user_no = h.user_no AND u.item = g.item
  WHERE s.users - CASE WHEN b.said IS NULL THEN 0 ELSE 1 END >= 2
    AND 2 * (g.users - CASE WHEN u.said IS NULL THEN 0 ELSE 1 END) >= s.users - CASE WHEN b.said IS NULL THEN 0 ELSE 1 END
),
first AS (SELECT row, MIN(other) AS other FROM own GROUP BY row)
SELECT o.row, o.item, o.other
FROM own AS o JOIN first AS f ON f.row = o.row AND f.other = o.other
