"""Small tables that the SQL reads counts with: what age takes, and where a row begins anew."""

from collections.abc import Mapping
from pathlib import Path

import numpy as np

from rewriter.database import connect, save

_ONE = 1_000_000

Cuts = Mapping[tuple[str, str, str], int]
"""(locale, utterance, circumstance) -> the first day whose evidence of the utterance counts there, days since 1970. An empty
circumstance is everywhere."""

_NODES = """
SELECT t.id AS node, w.circumstance, w.day
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


def write_cuts(cuts: Cuts, texts: Path, path: Path) -> Path:
    """Write `tables.CUTS`.

    Args:
        cuts: the first days whose evidence counts.
        texts: Parquet of `tables.TEXTS`.
        path: file to write.
    """
    keys = list(cuts)
    wanted = {
        "locale": np.array([locale for locale, _, _ in keys], dtype=object),
        "text": np.array([text for _, text, _ in keys], dtype=object),
        "circumstance": np.array([circumstance for _, _, circumstance in keys], dtype=object),
        "day": np.array([cuts[key] for key in keys], dtype=np.int64),
    }
    with connect(texts=texts) as con:
        con.execute("CREATE TEMP TABLE wanted (locale VARCHAR, text VARCHAR, circumstance VARCHAR, day BIGINT)")
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
