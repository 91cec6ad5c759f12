"""DuckDB, the engine for one machine, and short queries on Parquet files."""

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from functools import cache
from pathlib import Path
from typing import TYPE_CHECKING

from rewriter.engines import first_line
from rewriter.errors import EngineError

if TYPE_CHECKING:
    import duckdb

_PARQUET = "FORMAT parquet, PARQUET_VERSION v2, DICTIONARY_SIZE_LIMIT 1"
"""Version 2 stores numbers as differences; dictionaries of numbers, which the size limit turns off, would take more space."""


class DuckDB:
    """The engine for one machine.

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
        import duckdb  # noqa: PLC0415 - only learning needs it; serving must start quickly

        work.mkdir(parents=True, exist_ok=True)
        self.work = work
        self._error = duckdb.Error
        self._con = duckdb.connect()
        self._functions: set[str] = set()
        settings: dict[str, object] = {"temp_directory": str(work / "spill"), "preserve_insertion_order": False}
        if threads is not None:
            settings["threads"] = threads
        if memory_gb is not None:
            settings["memory_limit"] = f"{memory_gb}GB"
        for key, value in settings.items():
            self._con.execute(f"SET {key} = ?", [value])

    def read(self, name: str, path: Path) -> None:
        """Make a Parquet file, or a folder of them, available as the table `name`.

        Raises:
            EngineError: the file is missing or is not Parquet.
        """
        try:
            self._con.execute(f"CREATE OR REPLACE VIEW {name} AS SELECT * FROM read_parquet({quoted(glob(path))})")
        except self._error as error:
            raise EngineError(f"table {name} cannot be read: {first_line(error)}") from error

    def function(self, name: str, f: Callable[[str], str]) -> None:
        """Register a function from text to text; it replaces an earlier one of that name. NULL in gives NULL out."""
        if name in self._functions:
            self._con.remove_function(name)
        self._con.create_function(name, f, ["VARCHAR"], "VARCHAR")
        self._functions.add(name)

    def run(self, name: str, sql: str) -> Path:
        """Write the rows of a SELECT as Parquet, make them available as the table `name`, and return the path.

        Raises:
            EngineError: DuckDB refused the statement or could not write.
        """
        path = self.work / f"{name}.parquet"
        try:
            self._con.execute(f"COPY ({sql}) TO {quoted(str(path))} ({_PARQUET})")
        except self._error as error:
            raise EngineError(f"step {name} failed on DuckDB: {first_line(error)}") from error
        self.read(name, path)
        return path

    def close(self) -> None:
        """Close the connection."""
        self._con.close()


def glob(path: Path) -> str:
    """Return a pattern for the Parquet files of a table: DuckDB writes one file, Spark a folder of them."""
    return str(path / "*.parquet") if path.is_dir() else str(path)


def quoted(text: str) -> str:
    """Return a text as a SQL literal, for COPY and views, which take no parameters."""
    return "'" + text.replace("'", "''") + "'"


@contextmanager
def connect(**tables: Path) -> Iterator["duckdb.DuckDBPyConnection"]:
    """Yield a connection on which some Parquet files are tables.

    All connections share one empty in-memory database, because opening another takes longer than most queries. The tables are
    temporary views, so no other connection sees them. Code that sets an option or registers a function must open a database
    of its own.

    Args:
        tables: table name -> Parquet file, or folder of them.

    Example:
        >>> import tempfile
        >>> path = Path(tempfile.mkdtemp()) / "one.parquet"
        >>> with connect() as con:
        ...     save(con, "SELECT 1 AS n", path)
        >>> with connect(one=path) as con:
        ...     con.execute("SELECT n FROM one").fetchall()
        [(1,)]
    """
    with _database().cursor() as con:
        for name, path in tables.items():
            con.execute(f"CREATE TEMP VIEW {name} AS SELECT * FROM read_parquet({quoted(glob(path))})")
        yield con


def save(con: "duckdb.DuckDBPyConnection", sql: str, path: Path) -> None:
    """Write the rows of a SELECT as Parquet."""
    con.execute(f"COPY ({sql}) TO {quoted(str(path))} (FORMAT parquet)")


@cache
def _database() -> "duckdb.DuckDBPyConnection":
    import duckdb  # noqa: PLC0415 - only learning needs it; serving must start quickly

    return duckdb.connect()
