-- Number the users.
SELECT CAST(ROW_NUMBER() OVER (ORDER BY user_id) - 1 AS BIGINT) AS user_no, user_id
FROM (SELECT DISTINCT user_id FROM turns) AS ids
