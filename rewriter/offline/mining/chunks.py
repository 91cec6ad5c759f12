"""Python over the rows of a table, a chunk at a time, from Parquet to Parquet.

Each chunk is read, worked on and written by one call. The calls run where the engine runs them: in threads beside DuckDB, or in
the executors of Spark. So none holds more than a chunk, however long the log is.
"""

import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any, Final

import numpy as np
import numpy.typing as npt

from rewriter.arrays import Ints
from rewriter.engines import Engine, connect, glob, save

Columns = dict[str, npt.NDArray[Any]]
"""The rows of a chunk by column."""

Chunk = tuple[str, str, int, int]
"""Its name, a file, and the rows of it from one number up to another."""

ROWS: Final = 500_000
"""Rows that are worked on at once."""


def each(engine: Engine, name: str, work: Callable[[Chunk], None], table: Path, out: Path, *, large: bool = False) -> Path:
    """Call a function for each chunk of a table.

    Args:
        engine: runs the calls.
        name: of the step.
        work: reads the chunk, and writes a file of `out`.
        table: Parquet.
        out: folder to write; replaced if it is there.
        large: whether one machine should hold a single chunk.
    """
    shutil.rmtree(out, ignore_errors=True)
    out.mkdir()
    engine.each(name, work, of(table), large=large)
    return out


def of(table: Path, prefix: str = "") -> list[Chunk]:
    """Cut the files of a table into ranges of rows; at least one range."""
    with connect() as con:
        sql = "SELECT file_name, num_rows FROM parquet_file_metadata(?) ORDER BY file_name"
        files = con.execute(sql, [glob(table)]).fetchall()
    ranges = [(file, start, start + ROWS) for file, rows in files for start in range(0, rows or 1, ROWS)]
    return [(f"{prefix}{number:05}", *of) for number, of in enumerate(ranges)]


def read(chunk: Chunk, columns: str) -> Columns:
    """Return some columns, as SQL, of the rows of a chunk. A column of float64 has NaN for NULL; others must not have any."""
    rows = "FROM read_parquet(?, file_row_number = true) WHERE file_row_number >= ? AND file_row_number < ?"
    with connect() as con:
        found = con.execute(f"SELECT {columns} {rows}", chunk[1:]).fetchnumpy()
    return {
        name: np.ma.filled(values, np.nan) if values.dtype == np.float64 else np.asarray(values) for name, values in found.items()
    }


def write(columns: Columns, chunk: Chunk, out: Path) -> None:
    """Write what became of a chunk into the folder of the step."""
    with connect() as con:
        con.register("columns", columns)
        save(con, "SELECT * FROM columns", out / f"{chunk[0]}.parquet")


def texts_of(texts: Path, ids: Ints) -> list[tuple[int, str, str]]:
    """Return id, locale and text of some texts, by their ids; a number that no text has is left out.

    Args:
        texts: Parquet of `tables.TEXTS`.
        ids: (m,) numbers, in any order.
    """
    with connect(texts=texts) as con:
        con.register("wanted", {"id": np.unique(ids)})
        return con.execute("SELECT id, locale, text FROM texts SEMI JOIN wanted USING (id) ORDER BY id").fetchall()
