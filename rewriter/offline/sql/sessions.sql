-- Order the turns of each user, divide them into sessions, and compute the friction of each turn.
-- placed replaces texts and users by their numbers. beside adds what is needed of the turns before and after. judged finds where a
-- session begins: where the log says so, or where a user without session ids was silent for more than {session_gap_ms} ms.
-- The strongest cue counts. Evidence of success reduces every cue but a refusal by the assistant. Negative feedback overrules all
-- cues. Praise overrules all but a refusal: a request that was refused did not succeed, whoever says so.
-- share is P(the turn is rewritten) in millionths, or -1 where nothing was drawn.
WITH placed AS (
  SELECT t.turn_id, u.user_no, COALESCE(s.session_no, 0) AS session_no, t.ts_ms, p.locale_no, p.said, p.sent, p.stop,
         p.hypothesis, r.id AS reply, t.barge_in, t.feedback, t.counted, COALESCE(t.rule, '') AS rule,
         CASE t.arm WHEN 'rewrite' THEN FLOOR(t.propensity * 1000000 + 0.5)
                    WHEN 'leave' THEN 1000000 - FLOOR(t.propensity * 1000000 + 0.5) END AS share,
         CASE t.status WHEN 'failed' THEN 1 WHEN 'ok' THEN 0 END AS failed,
         CASE t.feedback WHEN 1 THEN 1000 WHEN -1 THEN 0 ELSE FLOOR(t.engaged * 1000 + 0.5) END AS engaged,
         CASE WHEN t.asr_confidence * 1000 < {confidence} OR t.nlu_confidence * 1000 < {confidence} THEN {low_confidence}
              ELSE 0 END AS doubt
  FROM turns AS t
  LEFT JOIN spellings AS p ON p.locale = t.locale AND p.utterance = t.utterance AND p.sent_spelling = COALESCE(t.sent, '')
                          AND p.hypothesis_spelling = COALESCE(t.hypothesis, '')
  LEFT JOIN users AS u ON u.user_id = t.user_id
  LEFT JOIN session_ids AS s ON s.session_id = t.session_id
  LEFT JOIN texts AS r ON r.kind = 'r' AND r.locale = t.locale AND r.text = t.response
  WHERE p.said IS NOT NULL
),
beside AS (
  SELECT turn_id, user_no, session_no, ts_ms, locale_no, said, sent, stop, hypothesis, reply, barge_in, feedback, failed, engaged,
         counted, rule, share, doubt, ROW_NUMBER() OVER w AS turn_no, LAG(session_no) OVER w AS last_session, LAG(ts_ms) OVER w AS last_ms,
         LEAD(session_no) OVER w AS next_session, LEAD(ts_ms) OVER w AS next_ms,
         LEAD(GREATEST(COALESCE(barge_in, 0) * {barge_in}, stop * {stop})) OVER w AS next_protest
  FROM placed
  WINDOW w AS (PARTITION BY user_no ORDER BY session_no, ts_ms, turn_id)
),
judged AS (
  SELECT turn_id, user_no, session_no, ts_ms, locale_no, said, sent, stop, hypothesis, reply, barge_in, feedback, failed, engaged,
         counted, rule, share, turn_no,
         CASE WHEN last_session = session_no AND (session_no <> 0 OR ts_ms - last_ms <= {session_gap_ms})
              THEN 0 ELSE 1 END AS opens,
         CASE WHEN (next_session = session_no AND next_ms - ts_ms <= {window_ms})
                OR (last_session = session_no AND ts_ms - last_ms <= {window_ms}) THEN 0 ELSE 1 END AS is_isolated,
         GREATEST(doubt, {unknown}, CASE WHEN next_session = session_no AND next_ms - ts_ms <= {heed_ms}
                                         THEN next_protest ELSE 0 END) AS strongest
  FROM beside
)
SELECT turn_id, user_no, CAST(turn_no AS BIGINT) AS turn_no, CAST(opens AS BIGINT) AS opens,
       CAST(is_isolated AS BIGINT) AS is_isolated, ts_ms,
       CAST(FLOOR(ts_ms / 86400000) AS BIGINT) AS day, locale_no, said, sent, COALESCE(hypothesis, sent) AS state,
       CAST(CASE WHEN said = sent THEN 0 ELSE 1 END AS BIGINT) AS rewritten, rule, CAST(COALESCE(share, -1) AS BIGINT) AS share, stop,
       CAST(CASE WHEN feedback = -1 THEN 1000
                 WHEN feedback = 1 AND COALESCE(failed, 0) = 0 THEN 0
                 ELSE GREATEST(CASE WHEN failed = 1 THEN {failed} ELSE 0 END,
                                        FLOOR(strongest * (1000 - COALESCE(engaged, 0)) / 1000)) END AS BIGINT) AS friction,
       counted, session_no, hypothesis, CAST(failed AS BIGINT) AS failed, reply, barge_in, CAST(engaged AS BIGINT) AS engaged
FROM judged
