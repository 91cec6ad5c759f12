"""The small tables that the mining SQL reads and that Python writes.

`write_ages`             what evidence of each age weighs
`write_evidence_starts`  the first day whose evidence of a text counts
`write_context_values`   what each context of the log says
`write_stops`            the stop words of each locale
"""

import json
from collections.abc import Iterable, Mapping
from importlib import resources
from pathlib import Path

import numpy as np
import pandas as pd

from rewriter.config import Context
from rewriter.engines import connect, save
from rewriter.locales import language_of
from rewriter.model.context_rules import context_values
from rewriter.tables import CONTEXT_VALUES
from rewriter.text import normalise

_ONE = 1_000_000
"""Weights are stored in millionths."""
_BATCH = 1000
"""Distinct contexts that are read at once."""

EvidenceStarts = Mapping[tuple[str, str, str], int]
"""(locale, utterance, context value) -> the first day whose evidence of the utterance counts, days since 1970. With an empty
context value it holds everywhere, otherwise only in that context value."""

_NODES = """
SELECT t.id AS node, w.context_value, w.day
FROM wanted AS w JOIN texts AS t ON t.kind = 'u' AND t.locale = w.locale AND t.text = w.text
"""


def write_ages(half_life_days: int, path: Path) -> Path:
    """Write `tables.AGES`: a weight of 2^(-age / half-life), in millionths, rounded; 0 for a half-life keeps everything for ever.

    Example:
        >>> import tempfile
        >>> import duckdb
        >>> path = write_ages(30, Path(tempfile.mkdtemp()) / "ages.parquet")
        >>> duckdb.sql(f"SELECT weight FROM '{path}' WHERE age IN (0, 30, 60) ORDER BY age").fetchall()
        [(1000000,), (500000,), (250000,)]
    """
    age = np.arange(21 * half_life_days if half_life_days else 100_000, dtype=np.int64)
    weight = np.rint(_ONE * 2.0 ** (-age / half_life_days)) if half_life_days else np.full(len(age), _ONE)
    return _write({"age": age, "weight": weight.astype(np.int64)}, path)


def write_evidence_starts(evidence_starts: EvidenceStarts, texts: Path, path: Path) -> Path:
    """Write `tables.EVIDENCE_STARTS`.

    Args:
        evidence_starts: the first days whose evidence counts.
        texts: Parquet of `tables.TEXTS`.
        path: file to write.
    """
    keys = list(evidence_starts)
    wanted = {
        "locale": np.array([locale for locale, _, _ in keys], dtype=object),
        "text": np.array([text for _, text, _ in keys], dtype=object),
        "context_value": np.array([context_value for _, _, context_value in keys], dtype=object),
        "day": np.array([evidence_starts[key] for key in keys], dtype=np.int64),
    }
    with connect(texts=texts) as con:
        con.execute("CREATE TEMP TABLE wanted (locale VARCHAR, text VARCHAR, context_value VARCHAR, day BIGINT)")
        if keys:
            con.register("given", wanted)
            con.execute("INSERT INTO wanted SELECT * FROM given")
        save(con, _NODES, path)
    return path


def write_nodes(nodes: Iterable[int], path: Path) -> Path:
    """Write some rows of the chain, as Parquet with the column node."""
    return _write({"node": np.array(sorted(nodes), dtype=np.int64)}, path)


def _write(columns: Mapping[str, np.ndarray], path: Path) -> Path:
    with connect() as con:
        con.register("columns", dict(columns))
        save(con, "SELECT * FROM columns", path)
    return path


_DISTINCT = "SELECT DISTINCT COALESCE(context, '') AS context, COALESCE(device_type, '') AS device_type FROM turns"
_COMMON_VALUES = """
WITH spoken AS (
  SELECT DISTINCT COALESCE(context, '') AS context, COALESCE(device_type, '') AS device_type, user_id FROM turns
),
carried AS (
  SELECT v.context_value, COUNT(DISTINCT s.user_id) AS users
  FROM read_values AS v JOIN spoken AS s ON s.context = v.context AND s.device_type = v.device_type
  GROUP BY v.context_value
),
kept AS (
  SELECT context_value FROM carried
  QUALIFY ROW_NUMBER() OVER (PARTITION BY split_part(context_value, '=', 1) ORDER BY users DESC, context_value) <= $most
)
SELECT * FROM read_values WHERE context_value IN (SELECT context_value FROM kept) ORDER BY ALL
"""


def write_context_values(turns: Path, out: Path, limits: Context) -> Path:
    """Write `tables.CONTEXT_VALUES`: each distinct context and device of a log with its values; return `out`.

    Of each key the `limits.max_values` values with most users are kept.

    Args:
        turns: Parquet of `tables.TURNS`.
        out: Parquet file to write.
        limits: which keys are read and how much of them.
    """
    with connect(turns=turns) as con:
        rows: list[tuple[str, str, str]] = []
        found = con.execute(_DISTINCT)
        while batch := found.fetchmany(_BATCH):  # a context may be long, and only its values are kept
            rows += [(*pair, value) for pair in batch for value in context_values(_context(*pair), limits)]
        con.register("read_values", pd.DataFrame(rows, columns=list(CONTEXT_VALUES.names), dtype=str))
        save(con, _COMMON_VALUES.replace("$most", str(limits.max_values)), out)
    return out


def _context(text: str, device: str) -> dict[str, object]:
    """Return the context of a turn with its device; a context that cannot be read has no values."""
    try:
        context = json.loads(text) if text else {}
    except (ValueError, RecursionError):
        context = {}
    of_device: dict[str, object] = {"device_type": device} if device else {}
    return context | of_device if isinstance(context, dict) else of_device


_WORDS = resources.files("rewriter.offline") / "words" / "stop.json"


def stop_words(locale: str) -> list[str]:
    """Return the normalised stop words of a locale's language; none where we know none.

    Example:
        >>> "hör auf" in stop_words("de-AT")
        True
    """
    language = language_of(locale)
    words: dict[str, list[str]] = json.loads(_WORDS.read_text(encoding="utf-8"))
    return sorted({normalise(word) for word in words.get(language, ())})


def write_stops(locales: Iterable[str], path: Path) -> Path:
    """Write the stop words of each locale as Parquet with columns locale and text."""
    with connect() as con:
        con.execute("CREATE TEMP TABLE stops (locale VARCHAR, text VARCHAR)")
        for locale in locales:
            con.execute("INSERT INTO stops SELECT ?, UNNEST(CAST(? AS VARCHAR[]))", [locale, stop_words(locale)])
        save(con, "SELECT * FROM stops", path)
    return path
