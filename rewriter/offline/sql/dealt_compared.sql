-- The candidates, dealt like the sessions.
SELECT c.user_no, c.turn_no, c.ahead, c.next_turn_no, c.source, c.target, c.gap_ms, c.source_friction, c.target_friction,
       c.barge_in, c.verbatim, c.source_failed, c.target_failed, c.source_engaged, c.same_hypothesis, c.same_response,
       c.text_similarity, c.sound_similarity, c.contained,
       CAST(FLOOR(c.user_no / 4) - {parts} * FLOOR(c.user_no / (4 * {parts})) AS BIGINT) AS part
FROM compared AS c
