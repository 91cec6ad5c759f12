-- The locales of the log; the commonest one is what a request without a locale is taken for.
SELECT locale, CAST(COUNT(*) AS BIGINT) AS turns
FROM turns
GROUP BY locale
