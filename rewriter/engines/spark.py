"""Spark, the engine for a cluster. Needs `pip install 'rewriter[spark]'` and Java 17."""

import os
import sys
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING

from rewriter.engines import first_line
from rewriter.errors import EngineError, MissingExtraError

if TYPE_CHECKING:
    from pyspark.sql import SparkSession


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

    def function(self, name: str, f: Callable[[str], str]) -> None:
        """Register a function from text to text; it replaces an earlier one of that name. NULL in gives NULL out.

        The function's code is sent to the executors, which need not have this package installed. So its module must not import
        other modules of this package.
        """
        from pyspark import cloudpickle  # noqa: PLC0415 - an extra

        if f.__module__ != "__main__":
            cloudpickle.register_pickle_by_value(sys.modules[f.__module__])  # type: ignore[no-untyped-call]
        self._spark.udf.register(name, lambda text: None if text is None else f(text), "string")

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
