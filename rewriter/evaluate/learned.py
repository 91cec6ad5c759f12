"""What a version was learned from, as its private state tells."""

from pathlib import Path
from typing import Any

import duckdb

from rewriter.artefact.versions import Version


def healthy_texts(version: Version) -> frozenset[str] | None:
    """Return the normalised texts that its log holds as healthy: more success than not; None where the state is not here."""
    path = version.state / "queries.parquet"
    if not path.exists():
        return None
    sql = "SELECT query FROM read_parquet(?) GROUP BY query HAVING SUM(success) >= 500 * SUM(turns)"
    return frozenset(text for (text,) in _rows(sql, path))


def learned_days(version: Version) -> tuple[int, int] | None:
    """Return its first and last day, in whole days since 1970-01-01 UTC; None where the state is not here or empty."""
    path = version.state / "nodes.parquet"
    if not path.exists():
        return None
    ((first, last),) = _rows("SELECT MIN(first_day), MAX(last_day) FROM read_parquet(?)", path)
    return None if first is None else (first, last)


def _rows(sql: str, path: Path) -> list[tuple[Any, ...]]:
    with duckdb.connect() as con:
        return con.execute(sql, [str(path)]).fetchall()
