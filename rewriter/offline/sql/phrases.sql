-- The normal forms of what was said and of what the NLU was given: the same, unless a rewrite was applied.
-- An utterance of which nothing is left is not a request, and its turns end here.
SELECT h.locale, h.utterance, h.sent, h.hypothesis, u.text AS said_text,
       CASE WHEN s.text = '' THEN u.text ELSE s.text END AS sent_text
FROM heard AS h
LEFT JOIN clean AS u ON u.locale = h.locale AND u.raw = h.utterance
LEFT JOIN clean AS s ON s.locale = h.locale AND s.raw = h.sent
WHERE u.text <> ''
