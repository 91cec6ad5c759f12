"""SQL engines: the same SQL text runs on DuckDB (one machine) and on Spark (a cluster), and gives the same rows.

`DuckDB` is the engine for one machine; `connect` is for short queries on Parquet files. `Spark` needs
`pip install 'rewriter[spark]'` and Java 17.
"""

import os
import re
import shutil
import sys
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from dataclasses import dataclass
from functools import cache
from importlib.util import find_spec
from pathlib import Path
from typing import TYPE_CHECKING, Final, Protocol, TypeVar

from rewriter.errors import ConfigError, EngineError, MissingExtraError

if TYPE_CHECKING:
    import duckdb
    import pyarrow as pa
    from pyspark.sql import SparkSession

T = TypeVar("T")
DUCKDB, SPARK = NAMES = "duckdb", "spark"
"""Of the engines."""
_LEAST_GB, _MOST_GB = 1, 1_000_000
_MASTER = re.compile(r"local(\[(\d+|\*)(, ?\d+)?\])?|local-cluster\[\d+, ?\d+, ?\d+\]|yarn|(spark|k8s)://\S+")
_THREADS: Final = 4
"""More would wait for each other: part of what they run holds Python's lock."""


class Engine(Protocol):
    """What mining needs from a SQL engine. Each step is a SELECT whose rows are written to ``<work>/<name>.parquet``."""

    work: Path
    """Folder of the Parquet files."""

    def read(self, name: str, path: Path) -> None:
        """Make a Parquet file, or a folder of them, available as the table `name`."""

    def function(self, name: str, f: Callable[..., str], arguments: int = 1) -> None:
        """Register a function from texts to a text; it replaces an earlier one of that name. NULL in gives NULL out."""

    def run(self, name: str, sql: str, by: str | None = None) -> Path:
        """Write the rows of a SELECT as Parquet, make them available as the table `name`, and return the path.

        Args:
            name: of the step.
            sql: the SELECT.
            by: column of whole numbers; the rows of each go into a folder of their own, such as ``part=3``. None for one folder.
        """

    def each(self, name: str, write: Callable[[T], None], parts: Sequence[T], *, large: bool = False) -> None:
        """Call a function once for each part of a step, in any order; it reads and writes files.

        Args:
            name: of the step.
            write: the function.
            parts: its arguments.
            large: whether a call takes so much memory that one machine should hold a single one.
        """

    def close(self) -> None:
        """Release what the engine holds."""


def first_line(error: Exception) -> str:
    """Return the first line of an engine's message; the rest is a stack trace or the SQL text.

    Example:
        >>> first_line(ValueError("no such column: x\\nLINE 1: SELECT x"))
        'no such column: x'
    """
    return str(error).strip().partition("\n")[0]


def _cause(error: Exception) -> str:
    """Return what a message of Spark says of the error: in the trace of a Python worker, else of Java; else its first line.

    Example:
        >>> _cause(ValueError("An error occurred.\\n: org.apache.spark.SparkException: no such master\\n\\tat org.apache"))
        'no such master'
    """
    trace = str(error).partition("Traceback (most recent call last):")[2]
    lines = [line for line in trace.splitlines() if line and not line[0].isspace()]
    lines = lines or [line.removeprefix(": ") for line in str(error).splitlines() if line.startswith(": ")]
    return lines[0].partition(": ")[2] or lines[0] if lines else first_line(error)


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

    def run(self, name: str, sql: str, by: str | None = None) -> Path:
        """Do what the Protocol says.

        Raises:
            EngineError: DuckDB refused the statement or could not write.
        """
        path = self.work / f"{name}.parquet"
        shutil.rmtree(path, ignore_errors=True)
        try:
            self._con.execute(f"COPY ({sql}) TO {quoted(str(path))} ({_PARQUET}{f', PARTITION_BY ({by})' if by else ''})")
        except self._error as error:
            raise EngineError(f"step {name} failed on DuckDB: {first_line(error)}") from error
        self.read(name, path)
        return path

    def each(self, name: str, write: Callable[[T], None], parts: Sequence[T], *, large: bool = False) -> None:  # noqa: ARG002
        """Do what the Protocol says, in some threads."""
        with ThreadPoolExecutor(1 if large else min(_THREADS, os.cpu_count() or 1)) as pool:
            list(pool.map(write, parts))

    def close(self) -> None:
        """Close the connection."""
        self._con.close()


def glob(path: Path) -> str:
    """Return a pattern for the Parquet files of a table: DuckDB writes one file, Spark a folder of them.

    A table may be dealt into folders of its own (`Engine.run`).
    """
    if not path.is_dir():
        return str(path)
    return str(path / ("*/*.parquet" if any(part.is_dir() for part in path.glob("*=*")) else "*.parquet"))


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


def count_rows(table: Path) -> int:
    """Return how many rows a Parquet file, or a folder of them, has.

    Example:
        >>> import tempfile
        >>> path = Path(tempfile.mkdtemp()) / "three.parquet"
        >>> with connect() as con:
        ...     save(con, "SELECT UNNEST([1, 2, 3]) AS n", path)
        >>> count_rows(path)
        3
    """
    with connect(counted=table) as con:
        return int(con.execute("SELECT COUNT(*) FROM counted").fetchall()[0][0])


@cache
def _database() -> "duckdb.DuckDBPyConnection":
    import duckdb  # noqa: PLC0415 - only learning needs it; serving must start quickly

    return duckdb.connect()


def spark_session(master: str | None) -> "SparkSession":
    """Start Spark from this process, or return the session that it already has.

    Settings that Spark itself reads, such as ``spark-defaults.conf``, count as usual.

    Args:
        master: what Spark calls its master: ``local[2]`` for two threads of this process, ``spark://host:7077`` for a cluster.
            None for the session that there is, or all threads of this machine.

    Raises:
        MissingExtraError: PySpark is not installed.
        ConfigError: this process has a session with another master.
        EngineError: Spark does not start.
    """
    try:
        from pyspark.sql import SparkSession  # noqa: PLC0415 - an extra
    except ImportError as error:
        raise MissingExtraError("mining on Spark needs PySpark: pip install 'rewriter[spark]'") from error
    running = SparkSession.getActiveSession()
    found = None if running is None else running.sparkContext.master
    if found and master and _address(found) != _address(master):
        raise ConfigError(
            f"Spark already runs in this process with master {found!r}, not {master!r}; leave master out, or stop that session"
        )
    master = master or "local[*]"
    os.environ.setdefault("PYSPARK_PYTHON", sys.executable)  # else the workers take the first python3 on PATH
    settings = {
        "spark.ui.enabled": "false",
        "spark.ui.showConsoleProgress": "false",
        "spark.sql.session.timeZone": "UTC",
        "spark.log.level": "ERROR",
    }
    if local := re.fullmatch(r"local(?:\[(\d+|\*)\])?", master):  # 200 partitions, the default, are too many for one machine
        threads = local[1] or "1"
        threads = str(os.cpu_count() or 1) if threads == "*" else threads
        settings["spark.sql.shuffle.partitions"] = str(max(int(threads), 1))  # a start that fails leaves its settings to the next
    builder = SparkSession.builder.master(master).appName("rewriter")
    for key, value in settings.items():
        builder = builder.config(key, value)
    try:
        return builder.getOrCreate()
    except Exception as error:  # errors of the JVM and of its start share no base class
        cure = "install Java 17, and name a master that can be reached, such as local[2]"
        raise EngineError(f"Spark does not start with master {master!r}: {_cause(error)}; {cure}") from error


def _address(master: str) -> str:
    """Return a master without its scheme, to which Spark may add ``https``."""
    return master.rpartition("/")[2]


@dataclass(frozen=True, slots=True)
class EngineChoice:
    """Which engine mines, as callers of `learn` name it.

    Attributes:
        engine: ``duckdb``, ``spark``, or a Spark session, which stays open.
        master: of Spark, if it is named: ``local[2]`` for two threads, ``spark://host:7077`` for a cluster; None for all threads
            of this machine.
        memory_gb: memory that this process may use. DuckDB gets half of it and spills to the disk beyond; the other half is for
            arrays. None for DuckDB's own limit, four fifths of the machine.

    Raises:
        ConfigError: there is no such engine, or the others do not fit it.
        MissingExtraError: PySpark is not installed.

    Example:
        >>> EngineChoice("oracle")
        Traceback (most recent call last):
            ...
        rewriter.errors.ConfigError: engine must be 'duckdb', 'spark' or a Spark session, not 'oracle'
    """

    engine: "str | SparkSession" = DUCKDB
    master: str | None = None
    memory_gb: float | None = None

    def __post_init__(self) -> None:
        if self.engine not in NAMES if isinstance(self.engine, str) else not hasattr(self.engine, "sql"):
            raise ConfigError(f"engine must be 'duckdb', 'spark' or a Spark session, not {self.engine!r}")
        if self.master is not None and self.engine != SPARK:
            raise ConfigError(f"master {self.master!r} is for engine 'spark'; leave it out, or name that engine")
        if self.master is not None and not (isinstance(self.master, str) and _MASTER.fullmatch(self.master)):
            known = "local[2], spark://host:7077, k8s://host:443 or yarn"
            raise ConfigError(f"master is an address that Spark knows, such as {known}, not {self.master!r}")
        if self.memory_gb is not None and not _is_memory(self.memory_gb):
            raise ConfigError(f"memory_gb is a number from {_LEAST_GB} to {_MOST_GB:,}, such as 8, not {self.memory_gb!r}")
        if self.engine == SPARK and find_spec("pyspark") is None:
            raise MissingExtraError("mining on Spark needs PySpark: pip install 'rewriter[spark]'")

    @contextmanager
    def opened(self, work: Path) -> Iterator[Engine]:
        """Open the engine, and close it afterwards.

        Args:
            work: folder of the Parquet files. All executors of Spark must see it under the same path.

        Raises:
            EngineError: Spark does not start.
        """
        engine: Engine = DuckDB(work, memory_gb=self._of_duckdb) if self.engine == DUCKDB else Spark(work, self._session())
        try:
            yield engine
        finally:
            engine.close()

    @contextmanager
    def limited(self) -> Iterator[None]:
        """Hold the database of `connect` to the memory, too."""
        if self._of_duckdb is not None:
            _database().execute(f"SET memory_limit = '{self._of_duckdb}GB'")
        try:
            yield
        finally:
            if self._of_duckdb is not None:
                _database().execute("RESET memory_limit")

    @property
    def _of_duckdb(self) -> float | None:
        return None if self.memory_gb is None else self.memory_gb / 2

    def _session(self) -> "SparkSession":
        return spark_session(self.master) if isinstance(self.engine, str) else self.engine


def _is_memory(value: object) -> bool:
    return isinstance(value, int | float) and not isinstance(value, bool) and _LEAST_GB <= value <= _MOST_GB


class Spark:
    """The engine for a cluster.

    Args:
        work: folder for the Parquet folders; every executor must be able to write to it.
        session: the Spark session; the caller owns it, so `close` leaves it running.

    Raises:
        EngineError: the session was stopped.
    """

    def __init__(self, work: Path, session: "SparkSession") -> None:
        work.mkdir(parents=True, exist_ok=True)
        self.work = work
        self._spark = session
        try:
            session.conf.set("spark.sql.ansi.enabled", "true")  # Spark 3.5 would make NULL of a bad cast or a division by zero
        except Exception as error:  # errors of the JVM share no base class
            raise EngineError(f"the Spark session does not answer: {_cause(error)}; start a new one") from error
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

    def run(self, name: str, sql: str, by: str | None = None) -> Path:
        """Do what the Protocol says.

        Raises:
            EngineError: Spark refused the statement or could not write.
        """
        path = self.work / f"{name}.parquet"
        try:
            rows = self._spark.sql(sql)
            rows = rows if by is None else rows.repartition(by)  # one file for each, not one of each task
            rows.write.mode("overwrite").parquet(str(path), partitionBy=by)
        except Exception as error:  # errors of the JVM and of the workers share no base class
            raise EngineError(f"step {name} failed on Spark: {_cause(error)}") from error
        self.read(name, path)
        return path

    def each(self, name: str, write: Callable[[T], None], parts: Sequence[T], *, large: bool = False) -> None:  # noqa: ARG002
        """Do what the Protocol says, in the executors, each of which must have this package installed.

        Raises:
            EngineError: a call failed.
        """

        def called(batches: "Iterator[pa.RecordBatch]") -> "Iterator[pa.RecordBatch]":
            for batch in batches:
                for number in batch.column(0).to_pylist():
                    write(parts[number])
                yield batch

        try:
            numbers = self._spark.range(0, len(parts), 1, max(len(parts), 1))  # one part for each task
            numbers.mapInArrow(called, "id long").write.format("noop").mode("overwrite").save()
        except Exception as error:  # errors of the JVM and of the workers share no base class
            raise EngineError(f"step {name} failed on Spark: {_cause(error)}") from error

    def close(self) -> None:
        """Drop the tables; the session goes on."""
        for name in self._names:
            self._spark.catalog.dropTempView(name)
