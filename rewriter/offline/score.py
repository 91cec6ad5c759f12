"""From candidates to P(restates), Parquet to Parquet and a chunk at a time: what SQL cannot do, the comparing of texts."""

import shutil
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import duckdb
import numpy as np
import numpy.typing as npt

from rewriter.errors import EngineError
from rewriter.model.detector import Detector
from rewriter.model.similarity import contained, pairwise, phonetic_keys
from rewriter.tables import CANDIDATES, glob

Chunk = dict[str, npt.NDArray[Any]]
Texts = npt.NDArray[np.object_]

_VECTORS = 250
"""DuckDB vectors, of 2,048 rows, in a chunk."""

_TEXTS = ("source_text", "target_text")

_SAME = {"text_similarity": 1000, "sound_similarity": 1000, "contained": 1}
"""How alike a text is to itself; such pairs are not in `tables.SIMILARITIES`."""


def measure(pairs: Path, texts: Path, out: Path) -> Path:
    """Write how alike the texts of each pair are, in thousandths.

    Args:
        pairs: Parquet with columns source and target, ids of `texts`.
        texts: Parquet of `tables.TEXTS`.
        out: folder to write, Parquet of `tables.SIMILARITIES`; replaced if it is there.
    """
    wording, sounds = _wording(texts)

    def measured(chunk: Chunk) -> Chunk:
        source, target = wording[chunk["source"]].tolist(), wording[chunk["target"]].tolist()
        text = pairwise(source, target)
        sound = pairwise(sounds[chunk["source"]].tolist(), sounds[chunk["target"]].tolist())
        return chunk | {
            "text_similarity": np.rint(text * 1000).astype(np.int64),
            "sound_similarity": np.rint(sound * 1000).astype(np.int64),
            "contained": _contained(source, target, text),
        }

    with _connect() as con:
        con.read_parquet(glob(pairs)).create_view("pairs")
        return _write((measured(chunk) for chunk in _chunks(con, "SELECT source, target FROM pairs")), out)


def score(candidates: Path, similarities: Path, texts: Path, detector: Detector, out: Path) -> Path:
    """Write P(restates) of every candidate for which it is not 0.

    Args:
        candidates: Parquet of `tables.CANDIDATES`.
        similarities: Parquet of `tables.SIMILARITIES`.
        texts: Parquet of `tables.TEXTS`; read where the detector wants texts.
        detector: gives P.
        out: folder to write, Parquet of `tables.SCORES`; replaced if it is there.

    Raises:
        EngineError: the detector gave what is no P.
    """
    wanted = set(detector.columns)
    wording = _wording(texts)[0] if wanted.intersection(_TEXTS) else None
    key = ("user_no", "turn_no", "ahead", "source", "target")
    columns = [_selected(c.name, c.required) for c in CANDIDATES.columns if c.name in wanted or c.name in key]
    alike = [f"COALESCE({name}, {same}) AS {name}" for name, same in _SAME.items() if name in wanted]

    def scored(chunk: Chunk) -> Chunk:
        if wording is not None:
            chunk |= {name: wording[chunk[name.removesuffix("_text")]] for name in _TEXTS}
        p = detector.score(chunk)
        if p.shape != chunk["ahead"].shape or np.any((p < 0) | (p > 1000)):
            raise EngineError(f"detector {type(detector).__name__} must give one P of 0 to 1000 thousandths for each candidate")
        some = p > 0
        return {name: chunk[name][some] for name in key[:3]} | {"p": p[some]}

    with _connect() as con:
        con.read_parquet(glob(candidates)).create_view("candidates")
        con.read_parquet(glob(similarities)).create_view("similarities")
        sql = f"SELECT {', '.join(columns + alike)} FROM candidates AS c LEFT JOIN similarities AS s USING (source, target)"
        return _write((scored(chunk) for chunk in _chunks(con, sql)), out)


def _connect() -> duckdb.DuckDBPyConnection:
    con = duckdb.connect()
    con.execute("SET enable_progress_bar = false")
    return con


def _wording(texts: Path) -> tuple[Texts, Texts]:
    """Return the utterances and their phonetic keys, each in an array by id; None for ids of other texts."""
    with duckdb.connect() as con:
        con.read_parquet(glob(texts)).create_view("texts")
        found = con.execute("SELECT id, locale, text FROM texts WHERE kind = 'u' ORDER BY id").fetchnumpy()
    ids = found["id"]
    size = int(ids[-1]) + 1 if len(ids) else 0
    wording, sounds = np.full((2, size), None, dtype=object)
    wording[ids] = found["text"]
    for locale in set(found["locale"]):
        rows = found["locale"] == locale
        sounds[ids[rows]] = phonetic_keys(found["text"][rows], locale)
    return wording, sounds


def _contained(source: list[str], target: list[str], alike: npt.NDArray[np.float64]) -> npt.NDArray[np.int64]:
    """Whether one text of each pair holds the other, 0/1; only where all letters of the shorter one are in the longer one."""
    length = np.array([list(map(len, source)), list(map(len, target))])
    letters = alike * length.sum(axis=0) / 2  # what Indel similarity counts: the longest common subsequence
    found = np.zeros(len(source), dtype=np.int64)
    for i in np.flatnonzero(letters > length.min(axis=0) - 0.5):
        found[i] = contained(source[i], target[i])
    return found


def _selected(name: str, required: bool) -> str:
    """Read a column that may be NULL as a float, so that NULL is NaN in every chunk alike."""
    return name if required else f"CAST({name} AS DOUBLE) AS {name}"


def _chunks(con: duckdb.DuckDBPyConnection, sql: str) -> Iterator[Chunk]:
    """Yield the rows of a SELECT in chunks, as columns, without ever holding all of them; at least one chunk."""
    con.execute(sql)
    frame = con.fetch_df_chunk(_VECTORS)
    while True:
        yield {name: frame[name].to_numpy() for name in frame}
        frame = con.fetch_df_chunk(_VECTORS)
        if frame.empty:
            return


def _write(chunks: Iterator[Chunk], out: Path) -> Path:
    """Write each chunk of BIGINT columns as one Parquet file of a folder."""
    shutil.rmtree(out, ignore_errors=True)
    out.mkdir()
    with duckdb.connect() as con:
        for number, chunk in enumerate(chunks):
            con.register("chunk", chunk)
            con.sql("SELECT * FROM chunk").write_parquet(str(out / f"{number:05}.parquet"))
    return out
