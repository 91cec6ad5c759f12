-- The turns that a learned detector reads, dealt into {parts} parts by user: it holds one part at a time. Users are numbered as they came,
-- so each part holds users of all times; four in a row stay together, one of each fold (`detect.boosting.fold_of`).
SELECT s.turn_id, s.user_no, s.turn_no, s.session_no, s.opens, s.locale_no, s.said, s.stop, s.friction, s.ts_ms, s.rewritten,
       s.hypothesis, s.reply, s.failed, s.engaged, s.barge_in,
       CAST(FLOOR(s.user_no / 4) - {parts} * FLOOR(s.user_no / (4 * {parts})) AS BIGINT) AS part
FROM sessions AS s
