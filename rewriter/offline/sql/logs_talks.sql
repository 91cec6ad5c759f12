-- One row for each turn, with its answers and clicks. placed holds the staged rows with kind (user, bot, none, broken, or a share) and ms
-- (the time in epoch milliseconds). An export may list the newest first: then rows of one time are turned around, too.
WITH spoken AS (SELECT *, {talk} AS talk FROM placed),
forward AS (
  SELECT CASE WHEN sum(sign(ms - earlier)) < 0 THEN -1 ELSE 1 END AS way
  FROM (SELECT ms, lag(ms) OVER (PARTITION BY talk ORDER BY row) AS earlier FROM spoken)
),
-- A row without a time has that of the row before it in the file, or else of the row after.
timed AS (
  SELECT spoken.* REPLACE (coalesce(ms, last_value(ms IGNORE NULLS) OVER (w ROWS BETWEEN UNBOUNDED PRECEDING AND CURRENT ROW),
                                    first_value(ms IGNORE NULLS) OVER (w ROWS BETWEEN CURRENT ROW AND UNBOUNDED FOLLOWING)) AS ms),
         row * way AS nth
  FROM spoken, forward
  WINDOW w AS (PARTITION BY talk ORDER BY row * way)
),
owned AS (
  SELECT timed.*,
         last_value(CASE WHEN kind = 'user' THEN row END IGNORE NULLS) OVER (w ROWS BETWEEN UNBOUNDED PRECEDING AND CURRENT ROW) AS own,
         first_value(CASE WHEN kind = 'user' THEN row END IGNORE NULLS) OVER (w ROWS BETWEEN CURRENT ROW AND UNBOUNDED FOLLOWING) AS next
  FROM timed
  WINDOW w AS (PARTITION BY talk ORDER BY ms, nth)
),
-- What comes before the first turn of a talk, such as a greeting, is no answer; it is erased with the turn that follows.
answers AS (
  SELECT coalesce(own, next) AS turn, list(DISTINCT record) AS records,
         string_agg(utterance, ' ' ORDER BY ms, nth) FILTER (kind = 'bot' AND own IS NOT NULL AND NOT blank(utterance)) AS response,
         max(TRY_CAST(kind AS DOUBLE)) FILTER (own IS NOT NULL) AS share{answers}
  FROM owned WHERE kind NOT IN ('user', 'broken') AND coalesce(own, next) IS NOT NULL GROUP BY turn
)
SELECT p.row, {cells}, p.wrong, p.kind = 'user' AS is_row, list_distinct(list_append(coalesce(a.records, []), p.record)) AS records
FROM owned AS p LEFT JOIN answers AS a ON a.turn = p.row AND p.kind = 'user'
WHERE p.kind IN ('user', 'broken') OR coalesce(p.own, p.next) IS NULL
