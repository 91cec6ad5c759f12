"""A synthetic log of any length for the timing of mining, written by DuckDB alone. Who speaks when is realistic; words are not.

Users are heavy-tailed (one for each 20 turns), in sessions of 2.4 turns on average. 12 % of requests are misheard,
a third of those are refused and the others understood wrongly. Six in ten speakers who were misheard say it again within ten
seconds, and one in three of these interrupts the answer. All others make a new request after 40 seconds on average. A request is
for one of 30 intents and one of up to 100,000 names by Zipf's law, in one of five phrasings.
"""

import argparse
from pathlib import Path

import duckdb

from rewriter import tables

DAY_MS = 86_400_000
START_MS = 1_735_689_600_000
INTENTS = (
    *("turn on", "turn off", "play", "what is the weather in", "set a timer for", "call", "dim", "open", "close", "stop playing"),
    *("next", "add", "remind me of", "how far is", "where is", "tell me about", "read", "message", "turn up", "turn down"),
    *("lock", "buy", "search for", "start", "show", "find me", "put on", "order", "ask for", "list"),
)
OPEN = {"play": 100_000, "search for": 100_000, "tell me about": 50_000, "buy": 20_000, "call": 5_000, "message": 5_000}
"""How many names go with an intent; with all others, 300."""
SYLLABLES = ["ba", "ro", "ki", "ten", "mu", "sal", "ver", "do", "li", "pon", "gar", "shi", "nel", "to", "ca", "wi"]
ENDINGS = ["ra", "lo", "min", "ter", "ga", "su", "pel", "dor", "ny", "ves", "kon", "ba", "ti", "rus", "mel", "da"]
NOUNS = [
    "light",
    "song",
    "room",
    "lake",
    "street",
    "band",
    "show",
    "lamp",
    "house",
    "river",
    "game",
    "city",
    "book",
    "star",
    "night",
    "road",
]
KINDS = ["one", "two", "red", "blue", "old", "new", "live", "west", "east", "big", "max", "pro", "six", "ten", "hill", "park"]

SQL = """
WITH sessions AS (
  SELECT i AS session, CAST(FLOOR({users} * POW(unit(i, 1), 2)) AS BIGINT) AS user_no,
         {start} + CAST({days}.0 * {day} * unit(i, 2) AS BIGINT) AS start_ms,
         1 + CAST(LEAST(11, FLOOR(-1.9 * LN(1 - unit(i, 3)))) AS BIGINT) AS turns
  FROM RANGE({sessions}) AS r(i)
),
turns AS (SELECT session, user_no, start_ms, UNNEST(RANGE(turns)) AS k FROM sessions),
heard AS (
  SELECT *, unit(session, k, 4) < 0.12 AS misheard,
         k > 0 AND unit(session, k - 1, 4) < 0.12 AND unit(session, k, 5) < 0.6 AS again,
         k > 1 AND unit(session, k - 2, 4) < 0.12 AND unit(session, k - 1, 5) < 0.6 AS again_before
  FROM turns
),
goals AS (
  SELECT *, CASE WHEN again AND again_before THEN k - 2 WHEN again THEN k - 1 ELSE k END AS goal,
         SUM(CASE WHEN again THEN 3000 + 7000 * unit(session, k, 6) ELSE -40000 * LN(1 - unit(session, k, 6)) END)
           OVER (PARTITION BY session ORDER BY k) AS waited
  FROM heard
),
wants AS (
  SELECT *, {intents}[1 + CAST(FLOOR(30 * POW(unit(session, goal, 7), 2.5)) AS BIGINT)] AS intent,
         unit(session, goal, 8) AS rank, CAST(FLOOR(5 * POW(unit(session, k, 9), 3)) AS BIGINT) AS phrasing,
         unit(session, k, 10) AS error
  FROM goals
),
named AS (
  SELECT *, CAST(FLOOR(POW(COALESCE({open}[intent], 300), rank)) AS BIGINT) AS entity FROM wants
),
spelled AS (
  SELECT *, {syllables}[1 + entity % 16] || {endings}[1 + entity // 16 % 16]
            || CASE WHEN entity > 255 THEN ' ' || {nouns}[1 + entity // 256 % 16] ELSE '' END
            || CASE WHEN entity > 4095 THEN ' ' || {kinds}[1 + entity // 4096 % 16] ELSE '' END
            || CASE WHEN entity > 65535 THEN ' two' ELSE '' END AS name
  FROM named
),
said AS (
  SELECT *, misheard AND error < 0.34 AS refused,
         CASE WHEN NOT misheard THEN name
              WHEN error < 0.2 THEN REPLACE(name, 'r', 'l')
              WHEN error < 0.34 THEN REPLACE(name, 'o', 'u')
              WHEN error < 0.67 THEN REPLACE(name, 't', 'd') || ' a'
              ELSE 'the ' || name END AS words
  FROM spelled
)
SELECT PRINTF('%016x', HASH(session, k, {seed}) >> 1) AS turn_id, MD5(user_no::VARCHAR) AS user_id,
       start_ms + CAST(waited AS BIGINT) AS ts_ms, 'en-US' AS locale,
       CASE phrasing WHEN 0 THEN intent || ' ' || words
                     WHEN 1 THEN intent || ' the ' || words
                     WHEN 2 THEN 'please ' || intent || ' ' || words
                     WHEN 3 THEN intent || ' ' || words || ' please'
                     ELSE 'can you ' || intent || ' ' || words END AS utterance,
       CASE WHEN NOT refused THEN intent || '|name=' || words END AS hypothesis,
       CASE WHEN refused THEN 'failed' ELSE 'ok' END AS status,
       CASE WHEN refused THEN 'sorry, i did not get that' ELSE 'okay, ' || words END AS response,
       CAST(again AND unit(session, k, 11) < 0.33 AS BIGINT) AS barge_in, unit(session, k, 12) AS asr_confidence
FROM said
ORDER BY ts_ms // {day}
"""


def write_log(turns: int, path: Path, seed: int = 0, days: int = 30) -> None:
    """Write a log of about `turns` turns in some days, Parquet of `tables.TURNS`, day after day."""
    numbers = {"users": max(turns // 20, 10), "sessions": turns * 10 // 24, "seed": seed}
    times = {"start": START_MS, "day": DAY_MS, "days": days}
    words = {"intents": list(INTENTS), "syllables": SYLLABLES, "endings": ENDINGS, "nouns": NOUNS, "kinds": KINDS}
    lists = {name: str(values) for name, values in words.items()}  # a Python list of plain words reads as a DuckDB list
    vocabularies = "MAP {" + ", ".join(f"'{intent}': {size}" for intent, size in OPEN.items()) + "}"
    sql = SQL.format(**numbers, **times, **lists, open=vocabularies)
    with duckdb.connect() as con:
        con.execute("SET memory_limit = '4GB'; SET threads = 2; SET enable_progress_bar = false")
        con.execute(
            f"CREATE MACRO unit(a, b) AS (HASH(a, b, {seed}) % 1000003) / 1000003.0,"
            f" (a, b, c) AS (HASH(a, b, c, {seed}) % 1000003) / 1000003.0"
        )
        con.execute(f"CREATE VIEW log AS {sql}")
        given = {row[0] for row in con.execute("DESCRIBE log").fetchall()}
        columns = ", ".join(
            f"CAST({c.name if c.name in given else 'NULL'} AS {c.type}) AS {c.name}" for c in tables.TURNS.columns
        )
        con.execute(f"COPY (SELECT {columns} FROM log) TO '{path}' (FORMAT parquet)")


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("turns", type=int)
    parser.add_argument("path", type=Path)
    parser.add_argument("--seed", type=int, default=0)
    arguments = parser.parse_args()
    write_log(arguments.turns, arguments.path, arguments.seed)
