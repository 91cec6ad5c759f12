-- P(restates) of all candidates but second choices, with what tells whether other words could have helped: what both turns were
-- understood as and what was answered, -1 for nothing.
SELECT s.user_no, s.turn_no, s.ahead, s.p, COALESCE(a.hypothesis, -1) AS meant, COALESCE(b.hypothesis, -1) AS later,
       COALESCE(a.reply, -1) AS reply, c.source_failed AS failed, c.verbatim
FROM all_scores AS s
JOIN candidates AS c ON c.user_no = s.user_no AND c.turn_no = s.turn_no AND c.ahead = s.ahead
JOIN sessions AS a ON a.user_no = c.user_no AND a.turn_no = c.turn_no
JOIN sessions AS b ON b.user_no = c.user_no AND b.turn_no = c.next_turn_no
LEFT JOIN second_choices AS x ON x.source = c.source AND x.target = c.target AND x.meant = COALESCE(a.hypothesis, -1)
                     AND x.later = b.hypothesis AND c.source_failed = 1
WHERE x.source IS NULL
