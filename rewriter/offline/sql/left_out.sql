-- Users who do not count for others: of the {min_users} - 1 who said most different texts, those who said more than {far} times as many
-- as the next user. What they say has one vote on each text as everybody's has, but nobody speaks of so much: such an account floods
-- the log. Only where at least {enough} users spoke, because in a smaller log one person may well say most.
WITH said AS (
  SELECT user_no, COUNT(DISTINCT said) AS texts FROM counts GROUP BY user_no
),
ranked AS (
  SELECT user_no, texts, ROW_NUMBER() OVER (ORDER BY texts DESC, user_no) AS place, COUNT(*) OVER () AS users FROM said
)
SELECT r.user_no
FROM ranked AS r
JOIN ranked AS n ON n.place = {min_users}
WHERE r.place < {min_users} AND r.texts > {far} * n.texts AND {enough} <= r.users
