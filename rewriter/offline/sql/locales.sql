-- Number the locales of the log; the commonest one is what a request without a locale is taken for.
SELECT CAST(ROW_NUMBER() OVER (ORDER BY locale) - 1 AS BIGINT) AS locale_no, locale, turns
FROM (SELECT locale, CAST(COUNT(*) AS BIGINT) AS turns FROM turns GROUP BY locale) AS counted
