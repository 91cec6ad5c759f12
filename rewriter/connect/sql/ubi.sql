-- From rows of ubi_queries and ubi_events to turns. raw(place, doc) holds the rows as JSON, NULL where a row is no object; place
-- numbers them. actions(action, share) says what each action of a user is worth. said() normalises a text.
CREATE TEMP MACRO cell(doc, name) AS CASE WHEN NOT blank(doc ->> name) THEN trim(doc ->> name) END;

-- A row may be a document, a hit of a search for documents (the document stands in _source), or a line of a bulk request that
-- only says where the next document goes.
CREATE TEMP TABLE docs AS
SELECT place, CASE WHEN json_type(doc, '$._source') = 'OBJECT' THEN doc -> '$._source' ELSE doc END AS doc
FROM raw
WHERE doc IS NULL OR len(json_keys(doc)) <> 1 OR NOT list_has_any(json_keys(doc), ['index', 'create']);

CREATE TEMP TABLE cells AS
SELECT place, doc IS NULL AS is_broken, cell(doc, 'action_name') AS action, cell(doc, 'query_id') AS query_id,
       cell(doc, 'client_id') AS client, cell(doc, 'session_id') AS session_id, cell(doc, 'application') AS application,
       cell(doc, 'user_query') AS utterance, time_of_text(coalesce(cell(doc, 'timestamp'), cell(doc, '@timestamp'))) AS ts_ms,
       list_has_any(json_keys(doc), ['user_query', 'query_response_hit_ids']) AS asks,
       CASE json_type(doc, '$.query_response_hit_ids') WHEN 'ARRAY' THEN json_array_length(doc, '$.query_response_hit_ids')
            WHEN 'VARCHAR' THEN 1 WHEN 'UBIGINT' THEN 1 END AS hits
FROM docs;

CREATE TEMP TABLE events AS
SELECT c.place, query_id, client, session_id, ts_ms, lower(c.action) AS action, a.share
FROM cells AS c LEFT JOIN actions AS a ON a.action = lower(c.action)
WHERE c.action IS NOT NULL;

-- The client of a query that names none is the one whose events name the query.
CREATE TEMP TABLE asked AS
SELECT c.place, c.query_id, coalesce(c.client, e.client) AS client, c.session_id, c.application, c.utterance, c.ts_ms, c.hits,
       coalesce(s.said, '') AS said
FROM cells AS c
LEFT JOIN (SELECT query_id, min(client) AS client FROM events GROUP BY query_id HAVING count(DISTINCT client) = 1) AS e
  ON e.query_id = c.query_id
LEFT JOIN (SELECT utterance, said(utterance) AS said FROM (SELECT DISTINCT utterance FROM cells WHERE action IS NULL)) AS s
  ON s.utterance = c.utterance
WHERE c.action IS NULL AND c.asks;

-- One row for each text of a query id: pages and refreshes repeat both.
CREATE TEMP TABLE searches AS
SELECT min(place) AS place, client, min(query_id) AS query_id, said, min(ts_ms) AS ts_ms, arg_min(utterance, place) AS utterance,
       max(hits) AS hits, min(session_id) AS session_id
FROM asked
WHERE said <> '' AND client IS NOT NULL AND ts_ms IS NOT NULL AND ({application} IS NULL OR application = {application})
GROUP BY client, coalesce(query_id, CAST(place AS VARCHAR)), said;

-- An event belongs to the last search before it that has its query id.
CREATE TEMP TABLE joined AS
SELECT e.place, s.place AS search, e.session_id, e.share
FROM events AS e JOIN searches AS s ON s.query_id = e.query_id AND coalesce(e.client, s.client) = s.client
QUALIFY row_number() OVER (PARTITION BY e.place
                           ORDER BY coalesce(s.ts_ms <= e.ts_ms, false) DESC, abs(s.ts_ms - e.ts_ms), s.place) = 1;

-- The same text again and nothing else between is the same search: a filter, another order, the next page.
CREATE TEMP TABLE turns AS
WITH follows AS (
  SELECT *, CASE WHEN lag(said) OVER w = said AND ts_ms - lag(ts_ms) OVER w <= {gap_ms} THEN 0 ELSE 1 END AS opens
  FROM searches WINDOW w AS (PARTITION BY client ORDER BY ts_ms, place)
),
numbered AS (SELECT *, sum(opens) OVER (PARTITION BY client ORDER BY ts_ms, place) AS turn FROM follows),
done AS (SELECT search, max(share) AS share, min(session_id) AS session_id FROM joined GROUP BY search),
whole AS (
  SELECT n.client, min(n.place) AS place, arg_min(n.query_id, n.place) AS query_id, min(n.ts_ms) AS ts_ms,
         arg_min(n.utterance, n.place) AS utterance, max(n.hits) AS hits, max(d.share) AS share,
         coalesce(min(n.session_id), min(d.session_id)) AS session_id
  FROM numbered AS n LEFT JOIN done AS d ON d.search = n.place
  GROUP BY n.client, n.turn
)
SELECT client AS user_id, make_timestamp(ts_ms * 1000) AS timestamp, utterance,
       query_id || CASE WHEN row_number() OVER q > 1 THEN '#' || row_number() OVER q ELSE '' END AS turn_id,
       CASE WHEN bool_and(session_id IS NOT NULL) OVER (PARTITION BY client) THEN session_id END AS session_id,
       CASE WHEN hits = 0 THEN 'failed' WHEN hits > 0 THEN 'ok' END AS status,
       CASE WHEN (SELECT count(*) FROM events) > 0 THEN coalesce(share, 0) END AS engaged
FROM whole
WINDOW q AS (PARTITION BY query_id ORDER BY place);
