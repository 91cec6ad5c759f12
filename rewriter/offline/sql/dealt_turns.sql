-- What detectors and diagnosis read of the log itself, dealt like the sessions.
SELECT t.turn_id, t.feedback, t.asr_confidence, t.nlu_confidence, t.nbest, t.device_type, s.part
FROM turns AS t
JOIN dealt_sessions AS s ON s.turn_id = t.turn_id
