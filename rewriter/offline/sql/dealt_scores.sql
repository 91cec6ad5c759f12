-- P(restates), dealt like the sessions.
SELECT s.user_no, s.turn_no, s.ahead, s.p, CAST(FLOOR(s.user_no / 4) - {parts} * FLOOR(s.user_no / (4 * {parts})) AS BIGINT) AS part
FROM scores AS s
