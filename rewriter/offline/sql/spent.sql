-- Each turn spends 1,000 thousandths on the restatements that teach (taught), the nearest first: a candidate takes its P of what
-- those before it left. Every split is in two parts, and the larger remainder gets the odd thousandth, so that nothing is lost.
WITH chances AS (
  SELECT user_no, turn_no, MAX(CASE WHEN ahead = 1 THEN p ELSE 0 END) AS p_1, MAX(CASE WHEN ahead = 2 THEN p ELSE 0 END) AS p_2,
         MAX(CASE WHEN ahead = 3 THEN p ELSE 0 END) AS p_3
  FROM taught
  GROUP BY user_no, turn_no
),
first AS (
  SELECT user_no, turn_no, p_2, p_3, 1000 - p_1 AS left_1 FROM chances
),
second AS (
  SELECT user_no, turn_no, p_3, left_1, left_1 - FLOOR((left_1 * p_2 + 500) / 1000) AS left_2 FROM first
),
third AS (
  SELECT user_no, turn_no, left_1, left_2, left_2 - FLOOR((left_2 * p_3 + 500) / 1000) AS left_3 FROM second
)
SELECT user_no, turn_no, CAST(1000 - left_1 AS BIGINT) AS mass_1, CAST(left_1 - left_2 AS BIGINT) AS mass_2,
       CAST(left_2 - left_3 AS BIGINT) AS mass_3, CAST(left_3 AS BIGINT) AS rest
FROM third
