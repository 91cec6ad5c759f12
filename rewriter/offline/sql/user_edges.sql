-- The part of each user in the steps of the chain.
SELECT user_no, source, target, CAST(SUM(mass) AS BIGINT) AS mass, CAST(SUM(turns) AS BIGINT) AS turns
FROM steps
WHERE mass > 0
GROUP BY user_no, source, target
