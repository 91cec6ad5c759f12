-- The part of each user in the rows of the chain. A turn counts in the row of what was said, and in the row of how it was
-- understood, once where that is the same text. A state that is not what was sent is a hypothesis, so the halves never meet.
-- DOUBLE adds whole numbers exactly up to 2^53, in half the room that an engine may take for sums of BIGINT.
SELECT user_no, sent AS node, CAST(SUM(CAST(turns AS DOUBLE)) AS BIGINT) AS turns,
       CAST(SUM(CAST(success AS DOUBLE)) AS BIGINT) AS success, CAST(SUM(CAST(failure AS DOUBLE)) AS BIGINT) AS failure,
       MIN(day) AS first_day, MAX(day) AS last_day
FROM counts
WHERE rewritten = 0 OR state = sent
GROUP BY user_no, sent
UNION ALL
SELECT user_no, state AS node, CAST(SUM(CAST(turns AS DOUBLE)) AS BIGINT) AS turns,
       CAST(SUM(CAST(success AS DOUBLE)) AS BIGINT) AS success, CAST(SUM(CAST(failure AS DOUBLE)) AS BIGINT) AS failure,
       MIN(day) AS first_day, MAX(day) AS last_day
FROM counts
WHERE state <> sent
GROUP BY user_no, state
