"""SQL engines: the same SQL text runs on DuckDB (one machine) and on Spark (a cluster), and gives the same rows.

`DuckDB` is the engine for one machine; `connect` is for short queries on Parquet files. `Spark` needs
`pip install 'rewriter[spark]'` and Java 17.
"""

import os
import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from functools import cache
from pathlib import Path
from typing import TYPE_CHECKING, Protocol

from rewriter.errors import EngineError, MissingExtraError

if TYPE_CHECKING:
    import duckdb
    from pyspark.sql import SparkSession


class Engine(Protocol):
    """What mining needs from a SQL engine. Each step is a SELECT whose rows are written to ``<work>/<name>.parquet``."""

    work: Path
    """Folder of the Parquet files."""

    def read(self, name: str, path: Path) -> None:
        """Make a Parquet file, or a folder of them, available as the table `name`."""

    def function(self, name: str, f: Callable[..., str], arguments: int = 1) -> None:
        """Register a function from texts to a text; it replaces an earlier one of that name. NULL in gives NULL out."""

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

    def function(self, name: str, f: Callable[..., str], arguments: int = 1) -> None:
        """Register a function from texts to a text; it replaces an earlier one of that name. NULL in gives NULL out."""
        if name in self._functions:
            self._con.remove_function(name)
        self._con.create_function(name, f, ["VARCHAR"] * arguments, "VARCHAR")
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


def local_session(threads: int = 2) -> "SparkSession":
    """Start Spark in this process, for tests and for logs that one machine can hold.

    Args:
        threads: worker threads.

    Raises:
        MissingExtraError: PySpark is not installed.
    """
    try:
        from pyspark.sql import SparkSession  # noqa: PLC0415 - an extra
    except ImportError as error:
        raise MissingExtraError("mining on Spark needs PySpark: pip install 'rewriter[spark]'") from error
    os.environ["PYSPARK_PYTHON"] = sys.executable  # else the workers take the first python3 on PATH
    settings = {
        "spark.ui.enabled": "false",
        "spark.ui.showConsoleProgress": "false",
        "spark.sql.shuffle.partitions": str(threads),
        "spark.sql.session.timeZone": "UTC",
        "spark.log.level": "ERROR",
    }
    builder = SparkSession.builder.master(f"local[{threads}]").appName("rewriter")
    for key, value in settings.items():
        builder = builder.config(key, value)
    return builder.getOrCreate()


class Spark:
    """The engine for a cluster.

    Args:
        work: folder for the Parquet folders; every executor must be able to write to it.
        session: the Spark session; the caller owns it, so `close` leaves it running.
    """

    def __init__(self, work: Path, session: "SparkSession") -> None:
        work.mkdir(parents=True, exist_ok=True)
        self.work = work
        self._spark = session
        session.conf.set("spark.sql.ansi.enabled", "true")  # Spark 3.5 would make NULL of a bad cast or a division by zero
        self._names: set[str] = set()

    def read(self, name: str, path: Path) -> None:
        """Make a Parquet file, or a folder of them, available as the table `name`.

        Raises:
            EngineError: the file is missing or is not Parquet.
        """
        try:
            self._spark.read.parquet(str(path)).createOrReplaceTempView(name)
        except Exception as error:
            raise EngineError(f"table {name} cannot be read: {first_line(error)}") from error
        self._names.add(name)

    def function(self, name: str, f: Callable[..., str], arguments: int = 1) -> None:  # noqa: ARG002 - Spark counts them
        """Register a function from texts to a text; it replaces an earlier one of that name. NULL in gives NULL out.

        The function's code is sent to the executors, which need not have this package installed. So its module must not import
        other modules of this package.
        """
        from pyspark import cloudpickle  # noqa: PLC0415 - an extra

        if f.__module__ != "__main__":
            cloudpickle.register_pickle_by_value(sys.modules[f.__module__])  # type: ignore[no-untyped-call]
        self._spark.udf.register(name, lambda *texts: None if None in texts else f(*texts), "string")

    def run(self, name: str, sql: str) -> Path:
        """Write the rows of a SELECT as Parquet, make them available as the table `name`, and return the path.

        Raises:
            EngineError: Spark refused the statement or could not write.
        """
        path = self.work / f"{name}.parquet"
        try:
            self._spark.sql(sql).write.mode("overwrite").parquet(str(path))
        except Exception as error:  # errors of the JVM and of the workers share no base class
            raise EngineError(f"step {name} failed on Spark: {first_line(error)}") from error
        self.read(name, path)
        return path

    def close(self) -> None:
        """Drop the tables; the session goes on."""
        for name in self._names:
            self._spark.catalog.dropTempView(name)
