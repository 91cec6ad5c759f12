-- Number the session ids of the log from 1, so that 0 is left for none.
SELECT CAST(ROW_NUMBER() OVER (ORDER BY session_id) AS BIGINT) AS session_no, session_id
FROM (SELECT DISTINCT session_id FROM turns WHERE session_id <> '') AS ids
