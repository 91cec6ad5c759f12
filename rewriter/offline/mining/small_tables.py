"""Small tables that the SQL reads counts with: what age takes, and where a row begins anew.

The context values that the turns of a log tell of, for the SQL that counts in them.

Utterances that only ask the assistant to stop: they say something about the turn before them, and are no restatement.
"""

import json
from collections.abc import Iterable, Mapping
from importlib import resources
from pathlib import Path

import numpy as np
import pandas as pd

from rewriter.engines.duckdb import connect, save
from rewriter.model.rules import context_values
from rewriter.tables import CONTEXT_VALUES
from rewriter.text import normalise

_ONE = 1_000_000

EvidenceStarts = Mapping[tuple[str, str, str], int]
"""(locale, utterance, context value) -> the first day whose evidence of the utterance counts there, days since 1970. An empty
context value is everywhere."""

_NODES = """
SELECT t.id AS node, w.context_value, w.day
FROM wanted AS w JOIN texts AS t ON t.kind = 'u' AND t.locale = w.locale AND t.text = w.text
"""


def write_ages(half_life_days: int, path: Path) -> Path:
    """Write `tables.AGES`: a weight of 2^(-age / half-life), in millionths, rounded; 0 for a half-life keeps everything for ever.

    Example:
        >>> import tempfile
        >>> path = write_ages(30, Path(tempfile.mkdtemp()) / "ages.parquet")
        >>> duckdb.sql(f"SELECT weight FROM '{path}' WHERE age IN (0, 30, 60) ORDER BY age").fetchall()
        [(1000000,), (500000,), (250000,)]
    """
    age = np.arange(21 * half_life_days if half_life_days else 100_000, dtype=np.int64)
    weight = np.rint(_ONE * 2.0 ** (-age / half_life_days)) if half_life_days else np.full(len(age), _ONE)
    return _write({"age": age, "weight": weight.astype(np.int64)}, path)


def write_evidence_starts(evidence_starts: EvidenceStarts, texts: Path, path: Path) -> Path:
    """Write `tables.CUTS`.

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


def _write(columns: Mapping[str, np.ndarray], path: Path) -> Path:
    with connect() as con:
        con.register("columns", dict(columns))
        save(con, "SELECT * FROM columns", path)
    return path


_DISTINCT = "SELECT DISTINCT COALESCE(context, '') AS context, COALESCE(device_type, '') AS device_type FROM turns"


def write_context_values(turns: Path, out: Path) -> Path:
    """Write `tables.CIRCUMSTANCES`: each context and device of a log with what it says; return `out`.

    Args:
        turns: Parquet of `tables.TURNS`.
        out: Parquet file to write.
    """
    with connect(turns=turns) as con:
        pairs: list[tuple[str, str]] = con.execute(_DISTINCT).fetchall()
        rows = [(context, device, said) for context, device in pairs for said in context_values(_context(context, device))]
        con.register("said", pd.DataFrame(rows, columns=list(CONTEXT_VALUES.names), dtype=str))
        save(con, "SELECT * FROM said ORDER BY ALL", out)
    return out


def _context(text: str, device: str) -> dict[str, object]:
    context = json.loads(text) if text else {}
    return {**context, "device_type": device} if isinstance(context, dict) else {"device_type": device}


_WORDS = resources.files("rewriter.offline") / "words" / "stop.json"


def stop_words(locale: str) -> list[str]:
    """Return the normalised stop words of a locale's language; none where we know none.

    Example:
        >>> "hör auf" in stop_words("de-AT")
        True
    """
    language = locale.split("-", maxsplit=1)[0]
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
