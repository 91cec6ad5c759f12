-- The candidates with what the comparison of their texts has found.
SELECT c.user_no, c.turn_no, c.ahead, c.next_turn_no, c.source, c.target, c.gap_ms, c.source_friction, c.target_friction, c.barge_in,
       c.verbatim, c.source_failed, c.target_failed, c.source_engaged, c.same_hypothesis, c.same_response,
       l.text_similarity, l.sound_similarity, l.contained
FROM candidates AS c
JOIN likeness AS l ON l.source = c.source AND l.target = c.target
