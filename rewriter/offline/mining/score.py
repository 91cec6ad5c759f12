"""What SQL cannot do with candidates: compare their texts, and score them. From Parquet to Parquet, a chunk of rows at a time.

Each chunk is read, worked on and written by one call. The calls run where the engine runs them: in threads beside DuckDB, or in
the executors of Spark. So none holds more than a chunk, however long the log is.
"""

import shutil
from collections.abc import Sequence
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from rewriter.arrays import Ints
from rewriter.detect import turns
from rewriter.detect.rephrase import LearnedPair
from rewriter.detect.turns import Listed
from rewriter.engines import Engine, connect, glob, save
from rewriter.errors import EngineError
from rewriter.model.detector import Detector
from rewriter.tables import CANDIDATES

Chunk = dict[str, npt.NDArray[Any]]

Part = tuple[str, str, int, int]
"""Its name, a file, and the rows of it from one number up to another."""

_ROWS = 500_000
"""Rows that are worked on at once."""

_KEY = ("user_no", "turn_no", "ahead")
_TEXTS = ("source_text", "target_text")
_PAIRS = "source, target, locale, source_text, target_text"


def compare(engine: Engine, pairs: Path, out: Path) -> Path:
    """Write how alike the texts of each pair are (`turns.NAMES`), beside its source and target.

    Args:
        engine: runs the chunks.
        pairs: Parquet of ``sql/pairs.sql``, each pair once.
        out: folder to write; replaced if it is there.
    """
    return _each(engine, "likeness", partial(_compare, out), pairs, out)


def score(engine: Engine, compared: Path, texts: Path, detector: Detector, out: Path) -> Path:
    """Write P(restates) of every candidate for which it is not 0.

    Args:
        engine: runs the chunks.
        compared: Parquet of ``sql/compared.sql``.
        texts: Parquet of `tables.TEXTS`.
        detector: gives P; it is handed the columns that it names, a chunk at a time.
        out: folder to write, Parquet of `tables.SCORES`; replaced if it is there.

    Raises:
        EngineError: the detector gave what is no P.
    """
    return _each(engine, "all_scores", partial(_score, detector, texts, out), compared, out)


def score_parts(engine: Engine, parts: Sequence[Listed], learned: LearnedPair, out: Path) -> Path:
    """Write P(restates) of every candidate for which it is not 0, by what was learned from the first part.

    Args:
        engine: runs the parts.
        parts: the tables of each part of the users.
        learned: scores a part by what its own users say.
        out: folder to write, Parquet of `tables.SCORES`; replaced if it is there.
    """
    shutil.rmtree(out, ignore_errors=True)
    out.mkdir()
    engine.each("all_scores", partial(_score_part, learned, out), list(enumerate(parts)), large=True)
    return out


def _score_part(learned: LearnedPair, out: Path, part: tuple[int, Listed]) -> None:
    number, listed = part
    detector = learned.of(listed)
    for rows in _parts(listed.candidates, f"{number:05}-"):
        _score(detector, listed.texts, out, rows)


def _each(engine: Engine, name: str, work: "partial[None]", table: Path, out: Path) -> Path:
    shutil.rmtree(out, ignore_errors=True)
    out.mkdir()
    engine.each(name, work, _parts(table))
    return out


def _compare(out: Path, part: Part) -> None:
    chunk = _read(part, _PAIRS)
    locale = chunk["locale"]
    texts = chunk["source_text"], chunk["target_text"]
    found = turns.likeness(*texts, *(turns.sounds_of(of, locale) for of in texts))
    _write({name: chunk[name] for name in ("source", "target")} | found, part, out)


def _score(detector: Detector, texts: Path, out: Path, part: Part) -> None:
    wanted = set(detector.columns)
    chunk = _read(part, _columns({*_KEY, "source", "target", *wanted}))
    if wanted.intersection(_TEXTS):
        chunk |= {name: _worded(texts, chunk[name.removesuffix("_text")]) for name in _TEXTS}
    p = detector.score({name: chunk[name] for name in detector.columns})
    if p.shape != chunk["ahead"].shape or np.any((p < 0) | (p > 1000)):
        raise EngineError(f"detector {type(detector).__name__} must give one P of 0 to 1000 thousandths for each candidate")
    some = p > 0
    _write({name: chunk[name][some] for name in _KEY} | {"p": p[some]}, part, out)


def _columns(names: set[str]) -> str:
    """Return some columns as SQL; one that may be NULL is DOUBLE, so that it reads as float64 with NaN."""
    found = [c.name if c.required else f"CAST({c.name} AS DOUBLE) AS {c.name}" for c in CANDIDATES.columns if c.name in names]
    return ", ".join(found + [name for name in turns.NAMES if name in names])


def _worded(texts: Path, ids: Ints) -> npt.NDArray[np.object_]:
    """Return the texts of some ids, (m,)."""
    some, back = np.unique(ids, return_inverse=True)
    with connect(texts=texts) as con:
        con.register("wanted", {"id": some})
        found = con.execute("SELECT text FROM texts SEMI JOIN wanted USING (id) ORDER BY id").fetchnumpy()
    return np.asarray(found["text"], dtype=object)[back.reshape(-1)]


def _parts(table: Path, prefix: str = "") -> list[Part]:
    """Cut the files of a table into ranges of rows; at least one range."""
    with connect() as con:
        sql = "SELECT file_name, num_rows FROM parquet_file_metadata(?) ORDER BY file_name"
        files = con.execute(sql, [glob(table)]).fetchall()
    ranges = [(file, start, start + _ROWS) for file, rows in files for start in range(0, rows or 1, _ROWS)]
    return [(f"{prefix}{number:05}", *of) for number, of in enumerate(ranges)]


def _read(part: Part, columns: str) -> Chunk:
    """Return some columns of a range of rows."""
    rows = "FROM read_parquet(?, file_row_number = true) WHERE file_row_number >= ? AND file_row_number < ?"
    with connect() as con:
        found = con.execute(f"SELECT {columns} {rows}", part[1:]).fetchnumpy()
    return {
        name: np.ma.filled(values, np.nan) if values.dtype == np.float64 else np.asarray(values) for name, values in found.items()
    }


def _write(chunk: Chunk, part: Part, out: Path) -> None:
    with connect() as con:
        con.register("chunk", chunk)
        save(con, "SELECT * FROM chunk", out / f"{part[0]}.parquet")
