-- The next few turns of the same session and locale, each with the cues that a detector reads. LEAD looks ahead in one pass
-- (a self-join grows with the square of a session); chosen makes one row of each turn ahead.
-- Without session ids, the silence that ends a session is longer than the window, which config.py makes sure of.
-- A stop word restates nothing, so it is no target. Of turns that are counted already none are listed but where a detector learns.
WITH goals AS (
  SELECT user_no, turn_no, session_no, locale_no, ts_ms, said, friction, failed, engaged, hypothesis, reply, barge_in, counted,
         CASE WHEN stop = 0 THEN said END AS goal
  FROM sessions
  WHERE is_isolated = 0
),
ahead AS (
  SELECT user_no, turn_no, ts_ms, said, friction, failed, engaged, hypothesis, reply, counted,
         LEAD(turn_no, 1) OVER w AS turn_no_1, LEAD(turn_no, 2) OVER w AS turn_no_2, LEAD(turn_no, 3) OVER w AS turn_no_3,
         LEAD(ts_ms, 1) OVER w AS ts_ms_1, LEAD(ts_ms, 2) OVER w AS ts_ms_2, LEAD(ts_ms, 3) OVER w AS ts_ms_3,
         LEAD(goal, 1) OVER w AS target_1, LEAD(goal, 2) OVER w AS target_2, LEAD(goal, 3) OVER w AS target_3,
         LEAD(friction, 1) OVER w AS friction_1, LEAD(friction, 2) OVER w AS friction_2, LEAD(friction, 3) OVER w AS friction_3,
         LEAD(failed, 1) OVER w AS failed_1, LEAD(failed, 2) OVER w AS failed_2, LEAD(failed, 3) OVER w AS failed_3,
         LEAD(hypothesis, 1) OVER w AS hypothesis_1, LEAD(hypothesis, 2) OVER w AS hypothesis_2,
         LEAD(hypothesis, 3) OVER w AS hypothesis_3,
         LEAD(reply, 1) OVER w AS reply_1, LEAD(reply, 2) OVER w AS reply_2, LEAD(reply, 3) OVER w AS reply_3,
         LEAD(barge_in, 1) OVER w AS barge_in_1, LEAD(barge_in, 2) OVER w AS barge_in_2, LEAD(barge_in, 3) OVER w AS barge_in_3
  FROM goals
  WINDOW w AS (PARTITION BY user_no, session_no, locale_no ORDER BY turn_no)
),
chosen AS (
  SELECT user_no, turn_no, k.ahead, ts_ms, said, friction, failed, engaged, hypothesis, reply, counted,
         CASE k.ahead WHEN 1 THEN turn_no_1 WHEN 2 THEN turn_no_2 ELSE turn_no_3 END AS next_turn_no,
         CASE k.ahead WHEN 1 THEN ts_ms_1 WHEN 2 THEN ts_ms_2 ELSE ts_ms_3 END AS next_ts_ms,
         CASE k.ahead WHEN 1 THEN target_1 WHEN 2 THEN target_2 ELSE target_3 END AS target,
         CASE k.ahead WHEN 1 THEN friction_1 WHEN 2 THEN friction_2 ELSE friction_3 END AS next_friction,
         CASE k.ahead WHEN 1 THEN failed_1 WHEN 2 THEN failed_2 ELSE failed_3 END AS next_failed,
         CASE k.ahead WHEN 1 THEN hypothesis_1 WHEN 2 THEN hypothesis_2 ELSE hypothesis_3 END AS next_hypothesis,
         CASE k.ahead WHEN 1 THEN reply_1 WHEN 2 THEN reply_2 ELSE reply_3 END AS next_reply,
         CASE k.ahead WHEN 1 THEN barge_in_1 WHEN 2 THEN barge_in_2 ELSE barge_in_3 END AS next_barge_in
  FROM ahead
  CROSS JOIN (SELECT 1 AS ahead UNION ALL SELECT 2 AS ahead UNION ALL SELECT 3 AS ahead) AS k
  WHERE k.ahead <= {reach}
)
SELECT user_no, turn_no, CAST(ahead AS BIGINT) AS ahead, next_turn_no, said AS source, target, next_ts_ms - ts_ms AS gap_ms,
       friction AS source_friction, next_friction AS target_friction, COALESCE(next_barge_in, 0) AS barge_in,
       CAST(CASE WHEN said = target THEN 1 ELSE 0 END AS BIGINT) AS verbatim,
       failed AS source_failed, next_failed AS target_failed, engaged AS source_engaged,
       CAST(CASE WHEN hypothesis = next_hypothesis THEN 1 WHEN hypothesis <> next_hypothesis THEN 0 END AS BIGINT)
         AS same_hypothesis,
       CAST(CASE WHEN reply = next_reply THEN 1 WHEN reply <> next_reply THEN 0 END AS BIGINT) AS same_response
FROM chosen
WHERE target IS NOT NULL AND next_ts_ms - ts_ms <= {window_ms} AND counted <= {learns}
