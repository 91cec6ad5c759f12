-- Candidates of turns whose meaning is known, and of failed turns that were said again word for word and worked.
-- given: what the candidate was understood as, beside what the turn was meant to say. It restates the turn if something missed is
-- in it, no slot that was meant has another value, its intent and the one that was meant hold one another, and what it gave is a
-- slot, or nothing but what was meant. other is 1 where the meaning was taken from the other hearings of the
-- turn. Candidates exclude each other: the nearest one counts, and those after it do not restate.
WITH pairs AS (
  SELECT s.row, c.ahead, t.hypothesis, s.hypothesis AS own, t.friction AS target_friction, s.friction, c.verbatim
  FROM candidates AS c
  JOIN turns AS s ON s.user_no = c.user_no AND s.turn_no = c.turn_no
  JOIN turns AS t ON t.user_no = c.user_no AND t.turn_no = c.next_turn_no
),
meant_slots AS (
  SELECT DISTINCT m.row, i.slot FROM meant AS m JOIN (SELECT DISTINCT item, slot FROM items) AS i ON i.item = m.item
  WHERE i.slot >= 0
),
meant_words AS (
  SELECT m.row, COUNT(*) AS words FROM meant AS m JOIN (SELECT DISTINCT item, slot FROM items) AS i ON i.item = m.item
  WHERE i.slot < 0
  GROUP BY m.row
),
given AS (
  SELECT p.row, p.ahead, COUNT(*) AS items, COUNT(m.item) AS meant,
         SUM(CASE WHEN i.slot < 0 THEN 1 ELSE 0 END) AS words,
         SUM(CASE WHEN i.slot < 0 AND m.item IS NOT NULL THEN 1 ELSE 0 END) AS words_meant,
         SUM(CASE WHEN m.item IS NOT NULL AND o.item IS NULL THEN 1 ELSE 0 END) AS repaired,
         SUM(CASE WHEN m.item IS NOT NULL AND o.item IS NULL AND i.slot >= 0 THEN 1 ELSE 0 END) AS slots_repaired,
         SUM(CASE WHEN m.item IS NULL AND s.slot IS NOT NULL THEN 1 ELSE 0 END) AS contradicted
  FROM pairs AS p
  JOIN missed AS k ON k.row = p.row AND k.missed = 1
  JOIN items AS i ON i.hypothesis = p.hypothesis
  LEFT JOIN meant AS m ON m.row = p.row AND m.item = i.item
  LEFT JOIN items AS o ON o.hypothesis = p.own AND o.item = i.item
  LEFT JOIN meant_slots AS s ON s.row = p.row AND s.slot = i.slot
  GROUP BY p.row, p.ahead
),
repaired AS (
  SELECT g.row, g.ahead
  FROM given AS g LEFT JOIN meant_words AS w ON w.row = g.row
  WHERE g.repaired > 0 AND g.contradicted = 0
    AND (g.words_meant = g.words OR g.words_meant = COALESCE(w.words, 0))
    AND (g.slots_repaired > 0 OR g.meant = g.items)
  UNION
  SELECT row, ahead FROM pairs
  WHERE verbatim = 1 AND friction >= 500 AND target_friction < 500 AND hypothesis >= 0 AND own <> hypothesis
),
nearest AS (SELECT row, MIN(ahead) AS ahead FROM repaired GROUP BY row)
SELECT p.row, p.ahead, CAST(CASE WHEN n.row IS NOT NULL THEN 1 ELSE k.missed END AS BIGINT) AS missed,
       CAST(CASE WHEN n.ahead = p.ahead THEN 1 ELSE 0 END AS BIGINT) AS restates, CAST(COALESCE(k.other, 0) AS BIGINT) AS other
FROM pairs AS p
LEFT JOIN missed AS k ON k.row = p.row
LEFT JOIN nearest AS n ON n.row = p.row
WHERE n.row IS NOT NULL OR k.row IS NOT NULL
