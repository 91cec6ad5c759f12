-- normalise() sees each text of a locale once.
SELECT locale, raw, normalise(raw, locale) AS text
FROM (SELECT locale, utterance AS raw FROM heard UNION SELECT locale, sent AS raw FROM heard) AS raws
