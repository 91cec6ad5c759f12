"""Run one SQL text on DuckDB or on Spark. Every step is a SELECT whose rows land in <work>/<name>.parquet."""

from collections.abc import Callable
from pathlib import Path
from typing import Protocol

from rewriter.database import glob, quoted
from rewriter.errors import EngineError

_PARQUET = "FORMAT parquet, PARQUET_VERSION v2, DICTIONARY_SIZE_LIMIT 1"
"""Numbers are written as differences; a dictionary of them would cost more than it saves."""


class Engine(Protocol):
    """What mining asks of a SQL engine."""

    work: Path
    """Folder of the Parquet files."""

    def read(self, name: str, path: Path) -> None:
        """Make a Parquet file or folder known as the table `name`."""

    def function(self, name: str, f: Callable[[str], str]) -> None:
        """Register a text function, in place of one of that name; NULL in gives NULL out."""

    def run(self, name: str, sql: str) -> Path:
        """Write the rows of a SELECT as Parquet, make them known as the table `name`, return the path."""

    def close(self) -> None:
        """Release what the engine holds."""


class DuckDB:
    """The engine of one machine.

    Args:
        work: folder of the Parquet files.
        threads: worker threads; None for all cores.
        memory_gb: memory above which DuckDB spills to `work`; None for DuckDB's own limit.

    Example:
        >>> import tempfile
        >>> engine = DuckDB(Path(tempfile.mkdtemp()))
        >>> engine.run("one", "SELECT CAST(1 AS BIGINT) AS n").name
        'one.parquet'
        >>> engine.close()
    """

    def __init__(self, work: Path, *, threads: int | None = None, memory_gb: float | None = None) -> None:
        import duckdb  # noqa: PLC0415 - only who learns pays for it

        work.mkdir(parents=True, exist_ok=True)
        self.work = work
        self._error = duckdb.Error
        self._con = duckdb.connect()
        self._functions: set[str] = set()
        settings = {
            "temp_directory": str(work / "spill"),
            "preserve_insertion_order": False,
        }
        if threads is not None:
            settings["threads"] = threads
        if memory_gb is not None:
            settings["memory_limit"] = f"{memory_gb}GB"
        for key, value in settings.items():
            self._con.execute(f"SET {key} = ?", [value])

    def read(self, name: str, path: Path) -> None:
        """Make a Parquet file or folder known as the table `name`.

        Raises:
            EngineError: it is not there, or not Parquet.
        """
        try:
            self._con.execute(f"CREATE OR REPLACE VIEW {name} AS SELECT * FROM read_parquet({quoted(glob(path))})")
        except self._error as error:
            raise EngineError(f"table {name} cannot be read: {_first_line(error)}") from error

    def function(self, name: str, f: Callable[[str], str]) -> None:
        """Register a text function, in place of one of that name; NULL in gives NULL out."""
        if name in self._functions:
            self._con.remove_function(name)
        self._con.create_function(name, f, ["VARCHAR"], "VARCHAR")
        self._functions.add(name)

    def run(self, name: str, sql: str) -> Path:
        """Write the rows of a SELECT as Parquet, make them known as the table `name`, return the path.

        Raises:
            EngineError: DuckDB refused the statement or could not write.
        """
        path = self.work / f"{name}.parquet"
        try:
            self._con.execute(f"COPY ({sql}) TO {quoted(str(path))} ({_PARQUET})")
        except self._error as error:
            raise EngineError(f"step {name} failed on DuckDB: {_first_line(error)}") from error
        self.read(name, path)
        return path

    def close(self) -> None:
        """Close the connection."""
        self._con.close()


def _first_line(error: Exception) -> str:
    return str(error).strip().partition("\n")[0]
