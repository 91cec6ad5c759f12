-- Put turns in their place and say how much went wrong in each.
-- placed: numbers for texts; opened: a session ends where the log says so, or where a user without session ids is silent for more
-- than {session_gap_ms}; numbered: what the next turn of the session says about this one; judged: the cues. The strongest cue counts,
-- evidence of success takes its share off all but the assistant's own verdict, and feedback overrules everything.
WITH placed AS (
  SELECT t.turn_id, u.user_no, COALESCE(t.session_id, '') AS session_id, t.ts_ms, t.locale, p.said, p.sent, p.stop,
         p.hypothesis, r.id AS reply, t.barge_in, t.feedback,
         CASE t.status WHEN 'failed' THEN 1 WHEN 'ok' THEN 0 END AS failed,
         CASE WHEN t.feedback = 1 THEN 1000 WHEN t.feedback = -1 THEN 0
              ELSE FLOOR(t.engaged * 1000 + 0.5) END AS engaged,
         CASE WHEN t.asr_confidence * 1000 < {confidence} OR t.nlu_confidence * 1000 < {confidence} THEN {low_confidence}
              ELSE 0 END AS doubt
  FROM turns AS t
  LEFT JOIN spellings AS p ON p.locale = t.locale AND p.utterance = t.utterance AND p.sent_spelling = COALESCE(t.sent, '')
                          AND p.hypothesis_spelling = COALESCE(t.hypothesis, '')
  LEFT JOIN users AS u ON u.user_id = t.user_id
  LEFT JOIN texts AS r ON r.kind = 'r' AND r.locale = t.locale AND r.text = t.response
  WHERE p.said IS NOT NULL
),
opened AS (
  SELECT turn_id, user_no, ts_ms, locale, said, sent, stop, hypothesis, reply, barge_in, feedback, failed, engaged, doubt,
         ROW_NUMBER() OVER w AS turn_no,
         CASE WHEN session_id = LAG(session_id) OVER w AND (session_id <> '' OR ts_ms - LAG(ts_ms) OVER w <= {session_gap_ms})
              THEN 0 ELSE 1 END AS opens
  FROM placed
  WINDOW w AS (PARTITION BY user_no ORDER BY session_id, ts_ms, turn_id)
),
numbered AS (
  SELECT turn_id, user_no, turn_no, ts_ms, locale, said, sent, stop, hypothesis, reply, barge_in, feedback, failed, engaged, doubt,
         SUM(opens) OVER (PARTITION BY user_no ORDER BY turn_no ROWS BETWEEN UNBOUNDED PRECEDING AND CURRENT ROW) AS session_no,
         CASE WHEN LEAD(opens) OVER w = 0 AND LEAD(ts_ms) OVER w - ts_ms <= {heed_ms} THEN 1 ELSE 0 END AS heeded,
         LEAD(barge_in) OVER w AS next_barge_in, LEAD(stop) OVER w AS next_stop
  FROM opened
  WINDOW w AS (PARTITION BY user_no ORDER BY turn_no)
),
judged AS (
  SELECT turn_id, user_no, turn_no, session_no, ts_ms, locale, said, sent, stop, hypothesis, reply, barge_in, feedback, failed,
         engaged,
         GREATEST(doubt, {unknown}, CASE WHEN heeded = 1 AND next_barge_in = 1 THEN {barge_in} ELSE 0 END,
                  CASE WHEN heeded = 1 AND next_stop = 1 THEN {stop} ELSE 0 END) AS strongest
  FROM numbered
)
SELECT turn_id, user_no, CAST(turn_no AS BIGINT) AS turn_no, CAST(session_no AS BIGINT) AS session_no, ts_ms,
       CAST(FLOOR(ts_ms / 86400000) AS BIGINT) AS day, locale, said, sent, COALESCE(hypothesis, sent) AS state,
       CAST(CASE WHEN said = sent THEN 0 ELSE 1 END AS BIGINT) AS rewritten, stop,
       CAST(CASE WHEN feedback = -1 THEN 1000
                 WHEN feedback = 1 THEN 0
                 ELSE GREATEST(CASE WHEN failed = 1 THEN {failed} ELSE 0 END,
                               FLOOR(strongest * (1000 - COALESCE(engaged, 0)) / 1000)) END AS BIGINT) AS friction,
       hypothesis, CAST(failed AS BIGINT) AS failed, reply, barge_in, CAST(engaged AS BIGINT) AS engaged
FROM judged
