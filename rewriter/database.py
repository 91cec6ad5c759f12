"""One DuckDB database for all short questions to Parquet tables: to open another takes longer than most of them."""

from collections.abc import Iterator
from contextlib import contextmanager
from functools import cache
from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    import duckdb


def glob(path: Path) -> str:
    """Return the Parquet files of a table: the file that DuckDB wrote, or all of the folder that Spark wrote."""
    return str(path / "*.parquet") if path.is_dir() else str(path)


def quoted(text: str) -> str:
    """Return a text as a SQL literal: COPY and views take no parameters."""
    return "'" + text.replace("'", "''") + "'"


@contextmanager
def connect(**tables: Path) -> Iterator["duckdb.DuckDBPyConnection"]:
    """Yield a connection that knows some Parquet tables by name.

    The database is the same for the whole process and stays empty: views are temporary, which no other connection sees. What
    sets an option or makes a function needs a database of its own.

    Args:
        tables: name -> file, or folder of files.

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
    import duckdb  # noqa: PLC0415 - serving declares tables too, and must not pay for it

    return duckdb.connect()
