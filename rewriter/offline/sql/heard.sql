-- What was said, sent and understood, once each: all work on text is done on these few rows, not on turns.
SELECT locale, utterance, COALESCE(sent, '') AS sent, COALESCE(hypothesis, '') AS hypothesis
FROM turns
GROUP BY locale, utterance, COALESCE(sent, ''), COALESCE(hypothesis, '')
