-- All counts of the texts that are touched, of all days.
SELECT c.day, c.user_no, c.said, c.sent, c.rewritten, c.state, c.rule, c.share, c.turns, c.failed, c.success, c.failure
FROM counts AS c
LEFT JOIN touched AS a ON a.node = c.said
LEFT JOIN touched AS d ON d.node = c.state
WHERE a.node IS NOT NULL OR d.node IS NOT NULL
