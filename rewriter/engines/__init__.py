"""SQL engines: the same SQL text runs on DuckDB (one machine) and on Spark (a cluster), and gives the same rows."""

from collections.abc import Callable
from pathlib import Path
from typing import Protocol


class Engine(Protocol):
    """What mining needs from a SQL engine. Each step is a SELECT whose rows are written to ``<work>/<name>.parquet``."""

    work: Path
    """Folder of the Parquet files."""

    def read(self, name: str, path: Path) -> None:
        """Make a Parquet file, or a folder of them, available as the table `name`."""

    def function(self, name: str, f: Callable[[str], str]) -> None:
        """Register a function from text to text; it replaces an earlier one of that name. NULL in gives NULL out."""

    def run(self, name: str, sql: str) -> Path:
        """Write the rows of a SELECT as Parquet, make them available as the table `name`, and return the path."""

    def close(self) -> None:
        """Release what the engine holds."""


def first_line(error: Exception) -> str:
    """Return the first line of an engine's message; the rest is a stack trace or the SQL text.

    Example:
        >>> first_line(ValueError("no such column: x\\nLINE 1: SELECT x"))
        'no such column: x'
    """
    return str(error).strip().partition("\n")[0]
