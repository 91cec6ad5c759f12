-- All restatements of the texts that are touched, of all days.
SELECT r.day, r.user_no, r.said, r.sent, r.rewritten, r.state, r.target, r.again, r.mass, r.turns
FROM rephrases AS r
LEFT JOIN touched AS a ON a.node = r.said
LEFT JOIN touched AS d ON d.node = r.state
WHERE a.node IS NOT NULL OR d.node IS NOT NULL
