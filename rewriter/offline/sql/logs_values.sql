-- One value of a foreign log into ours; NULL where it cannot be read. DuckDB only: reading files is its part on every engine.

-- The first branch is only quick: what begins with a visible ASCII sign is not blank.
CREATE TEMP MACRO blank(x) AS CASE WHEN x > '!' AND x < '~' THEN false ELSE trim(x, ' ' || chr(9) || chr(10) || chr(13) || chr(160) || chr(12288)) = '' END;

-- Other programs make floats of integers with gaps, and NaN of the gaps. Up to 2^53 every integer is a float.
CREATE TEMP MACRO text_of_float(x) AS CASE
    WHEN isnan(x) THEN NULL
    WHEN isfinite(x) AND x = trunc(x) AND abs(x) <= 9007199254740992 THEN CAST(CAST(x AS BIGINT) AS VARCHAR)
    ELSE CAST(x AS VARCHAR) END;

-- Times before 1970 or after 2199 are no times of a dialogue.
CREATE TEMP MACRO time_of_ms(x) AS CASE WHEN x >= 0 AND x < 7258118400000 THEN CAST(x AS BIGINT) END;

-- Cut to whole milliseconds: epoch_ms() rounds in some versions of DuckDB and cuts in others.
CREATE TEMP MACRO time_of_timestamp(x) AS time_of_ms(CASE WHEN isfinite(x) THEN epoch_us(x) // 1000 END);

-- Digits that are a date, or a date and a time, without signs between: 20260102, 202601020304, 20260102030405. Read as seconds or
-- milliseconds they would be times of the years 1970 to 1976, from which no log is.
CREATE TEMP MACRO time_of_digits(x) AS time_of_timestamp(CASE
    WHEN regexp_full_match(x, '\d{8}') THEN try_strptime(x, '%Y%m%d')
    WHEN regexp_full_match(x, '\d{12}') THEN try_strptime(x, '%Y%m%d%H%M')
    WHEN regexp_full_match(x, '\d{14}') THEN try_strptime(x, '%Y%m%d%H%M%S') END);

-- Seconds up to 1e11 (the year 5138), then milliseconds up to 1e14, microseconds up to 1e17, nanoseconds.
CREATE TEMP MACRO time_of_number(x) AS coalesce(
    time_of_digits(CASE WHEN x >= 19700101 AND x < 1e14 AND x = trunc(x) THEN CAST(CAST(x AS BIGINT) AS VARCHAR) END),
    time_of_ms(CASE WHEN x < 1e11 THEN round(x * 1000) WHEN x < 1e14 THEN round(x) WHEN x < 1e17 THEN trunc(x / 1e3)
               ELSE trunc(x / 1e6) END));

-- '20260102T030405,5z' as '2026-01-02T03:04:05.5Z'
CREATE TEMP MACRO extended(x) AS regexp_replace(
    regexp_replace(upper(replace(x, ',', '.')), ' ([+-])', '\1'),
    '^(\d{4})(\d\d)(\d\d)T(\d\d)(\d\d)', '\1-\2-\3T\4:\5:');

-- A text must begin with a digit: the cast also knows words such as 'now'.
CREATE TEMP MACRO time_of_text(x) AS CASE WHEN trim(x)[1] BETWEEN '0' AND '9' THEN coalesce(
    time_of_number(TRY_CAST(x AS DOUBLE)),
    time_of_timestamp(TRY_CAST(trim(x) AS TIMESTAMPTZ)),
    time_of_timestamp(TRY_CAST(extended(trim(x)) AS TIMESTAMPTZ))) END;

CREATE TEMP MACRO status_of(x) AS CASE
    WHEN lower(trim(x)) IN ('ok', 'success', 'succeeded', 'true') THEN 'ok'
    WHEN lower(trim(x)) IN ('failed', 'fail', 'failure', 'error', 'false') THEN 'failed' END;

CREATE TEMP MACRO flag_of(x) AS CAST(CASE
    WHEN lower(trim(x)) IN ('1', '1.0', 'true', 't', 'yes', 'y', 'on') THEN 1
    WHEN lower(trim(x)) IN ('0', '0.0', 'false', 'f', 'no', 'n', 'off') THEN 0 END AS BIGINT);

CREATE TEMP MACRO number_of_text(x) AS CASE lower(trim(x)) WHEN 'true' THEN 1 WHEN 'false' THEN 0 ELSE TRY_CAST(x AS DOUBLE) END;

CREATE TEMP MACRO share_of(x) AS CASE WHEN x BETWEEN 0 AND 1 THEN x END;

CREATE TEMP MACRO feedback_of(x) AS CASE WHEN x IN (-1, 0, 1) THEN CAST(x AS BIGINT) END;

CREATE TEMP MACRO list_of(x) AS CASE
    WHEN TRY(json_type(x)) = 'ARRAY' AND list_has_all(['VARCHAR'], TRY(json_type(x, '$[*]'))) THEN x END;

CREATE TEMP MACRO list_without_gaps(x) AS CASE WHEN len(x) = list_count(x) THEN CAST(to_json(x) AS VARCHAR) END;

CREATE TEMP MACRO object_of(x) AS CASE
    WHEN TRY(json_type(x)) = 'OBJECT' AND NOT list_has_any(['ARRAY', 'OBJECT'], TRY(json_type(x, '$.*'))) THEN x END;


-- What a value of a column means, by the words that the caller gave: '=*' stands for any other value that is not blank.
CREATE TEMP MACRO worded(name, x) AS coalesce(
    getvariable('words')[name || '=' || lower(trim(x))],
    CASE WHEN NOT blank(x) THEN getvariable('words')[name || '=*'] END, x);

-- The numbers of a date that begins with its day or its month: 05/01/2026, 5.1.26, 05-01-2026 08:00. Texts are empty in all others.
CREATE TEMP MACRO date_parts(x) AS regexp_extract(x, '^\s*(\d\d?)[./-](\d\d?)[./-](\d{4}|\d\d)(?:[^\d./-](.*))?$', ['a', 'b', 'y', 'rest']);

-- The same, or a date with an English month, as 2026-01-05 and what follows it; NULL in all others.
CREATE TEMP MACRO dated(y, m, d, rest) AS CASE WHEN y <> '' THEN
    (CASE WHEN length(y) = 2 THEN '20' || y ELSE y END) || '-' || m || '-' || d || ' ' || upper(trim(rest, ' ,T:')) END;
CREATE TEMP MACRO with_month(x) AS CASE
    WHEN regexp_matches(x, '^\s*\d\d?[ /-][A-Za-z]{3}') THEN
        regexp_replace(x, '^\s*(\d\d?)[ /-]([A-Za-z]{3})[a-z]*[ /.,-]+(\d{4})[:, ]*(.*)$', '\3-\2-\1 \4')
    WHEN regexp_matches(x, '^\s*[A-Za-z]{3,9}\.? \d') THEN
        regexp_replace(x, '^\s*([A-Za-z]{3})[a-z]*\.? (\d\d?),? (\d{4})[:, ]*(.*)$', '\3-\1-\2 \4') END;
CREATE TEMP MACRO date_of_text(x, dates) AS TRY_CAST(CASE dates
    WHEN 'month-first' THEN dated(date_parts(x)['y'], date_parts(x)['a'], date_parts(x)['b'], '')
    WHEN 'day-first' THEN dated(date_parts(x)['y'], date_parts(x)['b'], date_parts(x)['a'], '') END AS DATE);

-- With seconds or without, in 24 hours or in 12.
CREATE TEMP MACRO time_of_day(x) AS coalesce(
    time_of_timestamp(TRY_CAST(trim(regexp_replace(x, ' ([+-])', '\1')) AS TIMESTAMPTZ)),
    time_of_timestamp(try_strptime(regexp_replace(replace(upper(x), '.M.', 'M'), '(\d)([AP]M)', '\1 \2'), ['%Y-%m-%d %I:%M:%S %p', '%Y-%m-%d %I:%M %p',
        '%Y-%b-%d %H:%M:%S %z', '%Y-%b-%d %H:%M:%S', '%Y-%b-%d %H:%M', '%Y-%b-%d %I:%M:%S %p', '%Y-%b-%d %I:%M %p', '%Y-%b-%d'])));

-- A date that is not ISO 8601; which number is the day is told by the variable dates, and without it the date is not read.
CREATE TEMP MACRO time_of_date(x) AS time_of_day(coalesce(
    CASE getvariable('dates')
        WHEN 'month-first' THEN dated(date_parts(x)['y'], date_parts(x)['a'], date_parts(x)['b'], date_parts(x)['rest'])
        WHEN 'day-first' THEN dated(date_parts(x)['y'], date_parts(x)['b'], date_parts(x)['a'], date_parts(x)['rest']) END,
    with_month(x), CASE WHEN regexp_matches(x, '^\s*\d{4}[./-]') THEN trim(x) END));
