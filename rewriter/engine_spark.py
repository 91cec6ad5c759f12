"""The Spark twin of `rewriter.engine.DuckDB`: same SQL text, same rows. Needs `pip install 'rewriter[spark]'` and Java 17."""

import os
import sys
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING

from rewriter.errors import EngineError, MissingExtraError

if TYPE_CHECKING:
    from pyspark.sql import SparkSession


def local_session(threads: int = 2) -> "SparkSession":
    """Start Spark in this process, for logs of one machine and for tests.

    Args:
        threads: worker threads.

    Raises:
        MissingExtraError: PySpark is not installed.
    """
    try:
        from pyspark.sql import SparkSession  # noqa: PLC0415 - an extra
    except ImportError as error:
        raise MissingExtraError("mining on Spark needs PySpark: pip install 'rewriter[spark]'") from error
    os.environ["PYSPARK_PYTHON"] = sys.executable  # else the workers take whatever python3 stands first on PATH
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
    """The engine of a cluster.

    Args:
        work: folder of the Parquet folders; every executor must reach it.
        session: the Spark session; `close` leaves it running, since it is not ours.
    """

    def __init__(self, work: Path, session: "SparkSession") -> None:
        work.mkdir(parents=True, exist_ok=True)
        self.work = work
        self._spark = session
        session.conf.set("spark.sql.ansi.enabled", "true")  # Spark 3.5 would make NULL of a bad cast or a division by zero
        self._names: set[str] = set()

    def read(self, name: str, path: Path) -> None:
        """Make a Parquet file or folder known as the table `name`.

        Raises:
            EngineError: it is not there, or not Parquet.
        """
        try:
            self._spark.read.parquet(str(path)).createOrReplaceTempView(name)
        except Exception as error:
            raise EngineError(f"table {name} cannot be read: {_first_line(error)}") from error
        self._names.add(name)

    def function(self, name: str, f: Callable[[str], str]) -> None:
        """Register a text function, in place of one of that name; NULL in gives NULL out.

        The code itself travels, since executors need not have our package: a function of a module that imports nothing of ours.
        """
        from pyspark import cloudpickle  # noqa: PLC0415 - an extra

        if f.__module__ != "__main__":
            cloudpickle.register_pickle_by_value(sys.modules[f.__module__])  # type: ignore[no-untyped-call]
        self._spark.udf.register(name, lambda text: None if text is None else f(text), "string")

    def run(self, name: str, sql: str) -> Path:
        """Write the rows of a SELECT as Parquet, make them known as the table `name`, return the path.

        Raises:
            EngineError: Spark refused the statement or could not write.
        """
        path = self.work / f"{name}.parquet"
        try:
            self._spark.sql(sql).write.mode("overwrite").parquet(str(path))
        except Exception as error:  # PySpark has no common base class for what the JVM and the workers raise
            raise EngineError(f"step {name} failed on Spark: {_first_line(error)}") from error
        self.read(name, path)
        return path

    def close(self) -> None:
        """Forget the tables."""
        for name in self._names:
            self._spark.catalog.dropTempView(name)


def _first_line(error: Exception) -> str:
    return str(error).strip().partition("\n")[0]
