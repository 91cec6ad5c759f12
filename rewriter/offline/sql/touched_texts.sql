-- The same by their words.
SELECT t.locale, t.text FROM touched AS n JOIN texts AS t ON t.id = n.node WHERE t.kind = 'u'
