"""Joins decisions to turns: a `DecisionLog` fills the columns about decisions that the dialogue log leaves empty."""

from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path

import duckdb
import pandas as pd

from rewriter.artefact.feedback import last_words
from rewriter.engines import quoted
from rewriter.errors import LogError
from rewriter.offline.logs.contract import literal

_FILLED = ("sent", "rewrite_id", "rule", "layer", "scope", "arm", "propensity")
_DAY_MS = 86_400_000

_LINES = """
SELECT json ->> 'rewrite_id' AS rewrite_id, json ->> 'turn_id' AS turn_id, json ->> 'user_id' AS user_id,
       TRY_CAST(json ->> 'ts_ms' AS BIGINT) AS ts_ms, json ->> 'sent' AS sent, json ->> 'rule' AS rule, json ->> 'layer' AS layer,
       json ->> 'scope' AS scope, json ->> 'arm' AS arm, TRY_CAST(json ->> 'propensity' AS DOUBLE) AS propensity,
       json IS NOT NULL AND json_type(json) = 'OBJECT' AND json ->> 'rewrite_id' IS NOT NULL AS whole
FROM read_ndjson_objects([{files}], ignore_errors = true, format = 'newline_delimited')
"""

# A turn may have been asked about twice, before the NLU and after its refusal: what was sent in the end stands.
_MATCHED = """
SELECT t.turn_id AS turn, d.*
FROM (
  SELECT turn_id, user_id, rewrite_id FROM read_parquet({turns})
) AS t
JOIN decisions AS d ON d.rewrite_id = t.rewrite_id AND d.user_id IS NOT DISTINCT FROM t.user_id
UNION ALL
SELECT t.turn_id AS turn, d.*
FROM (
  SELECT turn_id, user_id FROM read_parquet({turns}) WHERE rewrite_id IS NULL
) AS t
JOIN decisions AS d ON d.turn_id = t.turn_id AND d.user_id IS NOT DISTINCT FROM t.user_id
"""
_CHOSEN = """
SELECT * FROM matched
QUALIFY ROW_NUMBER() OVER (PARTITION BY turn ORDER BY (sent IS NOT NULL) DESC, ts_ms DESC, rewrite_id DESC) = 1
"""


@dataclass(frozen=True, slots=True)
class Joined:
    """How many decisions were joined.

    Attributes:
        lines: decisions that were read.
        torn: lines that were not whole, as a kill leaves them; passed over.
        turns: turns that have a decision.
    """

    lines: int
    torn: int
    turns: int

    def line(self) -> str:
        """Return this for people."""
        torn = f", {self.torn:,} torn lines passed over" if self.torn else ""
        return f"{self.lines:,} decisions for {self.turns:,} turns{torn}"


def join(con: duckdb.DuckDBPyConnection, folder: Path, turns: Path, first_ms: int | None) -> Joined:
    """Fill in ``sent``, ``rewrite_id``, ``rule``, ``layer``, ``scope``, ``arm`` and ``propensity`` of turns that have none.

    A decision belongs to the turn that names its ``rewrite_id``, else to the turn whose ``turn_id`` it names; the user must be
    the same. Values that the log itself has are kept.

    Args:
        con: a connection.
        folder: files of a `rewriter.DecisionLog`.
        turns: Parquet of `tables.TURNS`; replaced.
        first_ms: time of the earliest turn; files of days long before are not opened.

    Raises:
        LogError: there is no such folder.
    """
    if not folder.is_dir():
        raise LogError(f"no decisions at {folder}: name the folder that rewriter.DecisionLog writes")
    found = sorted([*folder.glob("*.jsonl"), *folder.glob("*.jsonl.gz")])
    files = [path for path in found if path.stat().st_size and not _long_before(path, first_ms)]
    if not files:
        return Joined(0, 0, 0)
    con.execute(f"CREATE TEMP TABLE decision_lines AS {_LINES.format(files=', '.join(map(literal, files)))}")
    lines, torn = con.execute("SELECT COUNT(*) FILTER (whole), COUNT(*) FILTER (NOT whole) FROM decision_lines").fetchall()[0]
    con.execute("CREATE TEMP VIEW decisions AS SELECT * EXCLUDE (whole) FROM decision_lines WHERE whole")
    con.execute(f"CREATE TEMP VIEW matched AS {_MATCHED.format(turns=literal(turns))}")
    con.execute(f"CREATE TEMP TABLE chosen AS {_CHOSEN}")
    filled = ", ".join(f"COALESCE(t.{name}, c.{name}) AS {name}" for name in _FILLED)
    new = turns.with_suffix(".joined.parquet")
    rows = f"SELECT t.* REPLACE ({filled}) FROM read_parquet({literal(turns)}) AS t LEFT JOIN chosen AS c ON c.turn = t.turn_id"
    con.execute(f"COPY ({rows}) TO {quoted(str(new))} (FORMAT parquet, COMPRESSION zstd)")
    new.replace(turns)
    joined = con.execute("SELECT COUNT(*) FROM chosen").fetchall()[0][0]
    return Joined(int(lines), int(torn), int(joined))


def join_feedback(con: duckdb.DuckDBPyConnection, file: Path, turns: Path) -> None:
    """Fill in ``feedback`` of turns that have none, from what users said of their decisions (`Rewriter.feedback`).

    Args:
        con: a connection.
        file: ``feedback.jsonl`` of the artefact.
        turns: Parquet of `tables.TURNS`; replaced.
    """
    words = last_words(file)
    if not words:
        return
    new = turns.with_suffix(".feedback.parquet")
    users, decisions = zip(*words, strict=True)
    con.register("last_words", pd.DataFrame({"user_id": users, "rewrite_id": decisions, "value": list(words.values())}))
    rows = (
        f"SELECT t.* REPLACE (COALESCE(t.feedback, f.value) AS feedback) FROM read_parquet({literal(turns)}) AS t"
        " LEFT JOIN last_words AS f ON f.rewrite_id = t.rewrite_id AND f.user_id = t.user_id"
    )
    con.execute(f"COPY ({rows}) TO {quoted(str(new))} (FORMAT parquet, COMPRESSION zstd)")
    new.replace(turns)


def _long_before(path: Path, first_ms: int | None) -> bool:
    """Return whether a file was begun, by its name, so long before the first turn that it holds no decision of the log."""
    try:
        begun = datetime.fromisoformat(path.name[:10]).replace(tzinfo=UTC)
    except ValueError:
        return False
    return first_ms is not None and begun.timestamp() * 1000 < first_ms - 2 * _DAY_MS
