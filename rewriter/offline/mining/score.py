"""From candidates to P(restates), Parquet to Parquet and a chunk at a time: what SQL cannot do, the comparing of texts."""

import os
import shutil
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from rewriter.detect import turns
from rewriter.detect.turns import Likeness
from rewriter.engines.duckdb import connect, glob, save
from rewriter.errors import EngineError
from rewriter.model.detector import Detector
from rewriter.tables import CANDIDATES

Chunk = dict[str, npt.NDArray[Any]]

_Part = tuple[str, int, int]
"""A file, and the rows from one number up to another."""

_ROWS = 500_000
"""Candidates that a thread scores at once."""

_THREADS = 4
"""More would wait for each other: part of the comparing holds Python's lock."""

_KEY = ("user_no", "turn_no", "ahead")
_TEXTS = ("source_text", "target_text")


def score(candidates: Path, texts: Path, detector: Detector, out: Path) -> Path:
    """Write P(restates) of every candidate for which it is not 0.

    Args:
        candidates: Parquet of `tables.CANDIDATES`.
        texts: Parquet of `tables.TEXTS`.
        detector: gives P; it is handed the columns that it names, from several threads.
        out: folder to write, Parquet of `tables.SCORES`; replaced if it is there.

    Raises:
        EngineError: the detector gave what is no P.
    """
    wanted = set(detector.columns)
    wording = Likeness(texts)
    shutil.rmtree(out, ignore_errors=True)
    out.mkdir()

    def score_part(part: tuple[int, _Part]) -> None:
        number, rows = part
        chunk = _read(rows, {*_KEY, "source", "target", *wanted})
        if wanted.intersection(turns.NAMES):
            chunk |= wording.measure(chunk["source"], chunk["target"])
        if wanted.intersection(_TEXTS):
            chunk |= {name: wording.text[chunk[name.removesuffix("_text")]] for name in _TEXTS}
        p = detector.score({name: chunk[name] for name in detector.columns})
        if p.shape != chunk["ahead"].shape or np.any((p < 0) | (p > 1000)):
            raise EngineError(f"detector {type(detector).__name__} must give one P of 0 to 1000 thousandths for each candidate")
        some = p > 0
        _write({name: chunk[name][some] for name in _KEY} | {"p": p[some]}, out / f"{number:05}.parquet")

    with ThreadPoolExecutor(min(_THREADS, os.cpu_count() or 1)) as pool:
        list(pool.map(score_part, enumerate(_parts(candidates))))
    return out


def _parts(candidates: Path) -> list[_Part]:
    """Cut the files of a table into ranges of rows; at least one range."""
    with connect() as con:
        sql = "SELECT file_name, num_rows FROM parquet_file_metadata(?) ORDER BY file_name"
        files = con.execute(sql, [glob(candidates)]).fetchall()
    return [(file, start, start + _ROWS) for file, rows in files for start in range(0, rows or 1, _ROWS)]


def _read(part: _Part, names: set[str]) -> Chunk:
    """Return some columns of a range of rows; one that may be NULL is float64 with NaN, whether there is a NULL or not."""
    columns = [c.name if c.required else f"CAST({c.name} AS DOUBLE) AS {c.name}" for c in CANDIDATES.columns if c.name in names]
    rows = "FROM read_parquet(?, file_row_number = true) WHERE file_row_number >= ? AND file_row_number < ?"
    with connect() as con:
        found = con.execute(f"SELECT {', '.join(columns)} {rows}", part).fetchnumpy()
    return {name: np.ma.filled(values, np.nan) if values.dtype == np.float64 else values for name, values in found.items()}


def _write(chunk: Chunk, path: Path) -> None:
    with connect() as con:
        con.register("chunk", chunk)
        save(con, "SELECT * FROM chunk", path)
