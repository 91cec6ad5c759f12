-- normalise() sees each text once.
SELECT raw, normalise(raw) AS text
FROM (SELECT utterance AS raw FROM heard UNION SELECT sent AS raw FROM heard) AS raws
