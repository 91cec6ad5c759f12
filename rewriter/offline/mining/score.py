"""What SQL cannot do with candidates: compare their texts, score them, and tell which of them teach. From Parquet to Parquet, a
chunk of rows at a time (`chunks`).
"""

import shutil
from collections.abc import Sequence
from functools import partial
from pathlib import Path

import numpy as np
import numpy.typing as npt

from rewriter.arrays import Ints
from rewriter.detect import turns
from rewriter.detect.rephrase import LearnedPair
from rewriter.detect.teaching_share import TOLD_BY, p_helped
from rewriter.detect.turns import Listed
from rewriter.engines import Engine
from rewriter.errors import EngineError
from rewriter.model.detector import Detector
from rewriter.offline.mining import chunks
from rewriter.offline.mining.chunks import Chunk
from rewriter.tables import CANDIDATES

_KEY = ("user_no", "turn_no", "ahead")
_TEXTS = ("source_text", "target_text")
_PAIRS = "source, target, locale, source_text, target_text"
_TOLD = "user_no, turn_no, ahead, p, meant, later, reply, CAST(failed AS DOUBLE) AS failed, verbatim"


def compare(engine: Engine, pairs: Path, out: Path) -> Path:
    """Write how alike the texts of each pair are (`turns.NAMES`), beside its source and target.

    Args:
        engine: runs the chunks.
        pairs: Parquet of ``sql/pairs.sql``, each pair once.
        out: folder to write; replaced if it is there.
    """
    return chunks.each(engine, "likeness", partial(_compare, out), pairs, out)


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
    return chunks.each(engine, "all_scores", partial(_score, detector, texts, out), compared, out)


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


def teach(engine: Engine, scores: Path, texts: Path, min_helped: float, out: Path) -> Path:
    """Write the scores of all restatements but those of failures that other words could hardly have helped.

    Args:
        engine: runs the chunks.
        scores: Parquet of ``sql/scores.sql``.
        texts: Parquet of `tables.TEXTS`.
        min_helped: see `config.Rephrases`.
        out: folder to write, Parquet of `tables.SCORES`; replaced if it is there.
    """
    return chunks.each(engine, "taught", partial(_teach, texts, min_helped, out), scores, out, large=True)


def _score_part(learned: LearnedPair, out: Path, part: tuple[int, Listed]) -> None:
    number, listed = part
    detector = learned.of(listed)
    for rows in chunks.of(listed.candidates, f"{number:05}-"):
        _score(detector, listed.texts, out, rows)


def _compare(out: Path, chunk: Chunk) -> None:
    rows = chunks.read(chunk, _PAIRS)
    locale = rows["locale"]
    texts = rows["source_text"], rows["target_text"]
    found = turns.likeness(*texts, *(turns.sounds_of(of, locale) for of in texts))
    chunks.write({name: rows[name] for name in ("source", "target")} | found, chunk, out)


def _score(detector: Detector, texts: Path, out: Path, chunk: Chunk) -> None:
    wanted = set(detector.columns)
    rows = chunks.read(chunk, _columns({*_KEY, "source", "target", *wanted}))
    if wanted.intersection(_TEXTS):
        rows |= {name: _worded(texts, rows[name.removesuffix("_text")]) for name in _TEXTS}
    p = detector.score({name: rows[name] for name in detector.columns})
    if p.shape != rows["ahead"].shape or np.any((p < 0) | (p > 1000)):
        raise EngineError(f"detector {type(detector).__name__} must give one P of 0 to 1000 thousandths for each candidate")
    some = p > 0
    chunks.write({name: rows[name][some] for name in _KEY} | {"p": p[some]}, chunk, out)


def _columns(names: set[str]) -> str:
    """Return some columns as SQL; one that may be NULL is DOUBLE, so that it reads as float64 with NaN."""
    found = [c.name if c.required else f"CAST({c.name} AS DOUBLE) AS {c.name}" for c in CANDIDATES.columns if c.name in names]
    return ", ".join(found + [name for name in turns.NAMES if name in names])


def _worded(texts: Path, ids: Ints) -> npt.NDArray[np.object_]:
    """Return the texts of some ids, (m,)."""
    known = np.array([text for *_, text in chunks.texts_of(texts, ids)], dtype=object)
    return known[np.unique(ids, return_inverse=True)[1].reshape(-1)]


def _teach(texts: Path, min_helped: float, out: Path, chunk: Chunk) -> None:
    rows = chunks.read(chunk, _TOLD)
    known = chunks.texts_of(texts, np.concatenate([rows[name] for name in TOLD_BY]))
    taught = ~(p_helped(rows | {"p": rows["p"] / 1000.0}, known) < min_helped)
    chunks.write({name: rows[name][taught] for name in (*_KEY, "p")}, chunk, out)
