-- The newest day that {min_users} users had reached, of the whole log, as node -1 of row_days.
WITH newest AS (
  SELECT user_no, MAX(day) AS day FROM counts GROUP BY user_no
),
ranked AS (
  SELECT day, ROW_NUMBER() OVER (ORDER BY day DESC, user_no) AS place FROM newest
)
SELECT CAST(-1 AS BIGINT) AS node, COALESCE(MAX(CASE WHEN place = {min_users} THEN day END), MAX(day)) AS last_day FROM ranked
