-- From the spelling in the log to the numbers of what was said, sent and understood.
SELECT p.locale, p.utterance, p.sent AS sent_spelling, p.hypothesis AS hypothesis_spelling,
       l.locale_no, u.id AS said, s.id AS sent, h.id AS hypothesis, u.stop
FROM phrases AS p
LEFT JOIN locales AS l ON l.locale = p.locale
LEFT JOIN texts AS u ON u.kind = 'u' AND u.locale = p.locale AND u.text = p.said_text
LEFT JOIN texts AS s ON s.kind = 'u' AND s.locale = p.locale AND s.text = p.sent_text
LEFT JOIN texts AS h ON h.kind = 'h' AND h.locale = p.locale AND h.text = p.hypothesis
