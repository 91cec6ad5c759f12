"""Examples for the ranker and the risk: texts of the log that fail, with what was meant, and texts that are healthy."""

import json
from collections.abc import Container, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

import duckdb
import numpy as np
import pandas as pd

from rewriter.offline.told import NOBODY, Told
from rewriter.tables import glob
from rewriter.text import normalise

_HEALTHY, _FAILING = 0.6, 0.4  # share of success at least, at most; what lies between teaches nothing
_MOST = 3_000  # examples of each kind


@dataclass(frozen=True, slots=True)
class Example:
    """One text of the log.

    Attributes:
        locale: of the text.
        hearings: the text, then what else was heard in one of its turns.
        goals: interpretation -> share of the votes on the text; of a healthy text its own, with 1.
        healthy: whether it works as spoken.
        honest: P(the assistant says so | the text fails).
        users: distinct users who said it.
        user: keyed hash of the one of them whose request this is; empty for nobody.
        turns: how often she said it.
        served: whether a rule answers it, so that the online layer never will.
    """

    locale: str
    hearings: Sequence[str]
    goals: Mapping[int, float]
    healthy: bool
    honest: float
    users: int
    user: str
    turns: float
    served: bool


def examples(texts: pd.DataFrame, told: Told, served: Container[tuple[str, str]], turns: Path, seed: int) -> list[Example]:
    """Return healthy texts, and failing ones with their goals as far as the log tells, each as one of its users says it.

    Args:
        texts: what `rewriter.offline.stock.said` returned.
        told: what users were led to.
        served: (locale, text) that a rule for everybody answers.
        turns: Parquet of `tables.TURNS`, for the other hearings.
        seed: of the sample that a large log is cut to, and of who says a text.
    """
    rng = np.random.default_rng(seed)
    rate = texts["rate"].to_numpy(dtype=np.float64)
    kept = [
        np.sort(rng.choice(rows, _MOST, replace=False)) if len(rows) > _MOST else rows
        for rows in (np.flatnonzero(rate >= _HEALTHY), np.flatnonzero(rate <= _FAILING))
    ]
    chosen = list(texts.iloc[np.concatenate(kept)].itertuples())
    speakers = told.speakers({int(row.source) for row in chosen if row.source == row.source}, rng)
    heard = _hearings(turns, {(row.locale, row.query) for row in chosen})
    silent = not texts["honest"].any()
    return [
        Example(
            locale=row.locale,
            hearings=heard.get((row.locale, row.query), (row.query,)),
            goals={int(row.node): 1.0} if row.rate >= _HEALTHY else speaker.goals,
            healthy=bool(row.rate >= _HEALTHY),
            honest=1.0 if silent else float(row.honest),
            users=int(row.said_by),
            user=speaker.user,
            turns=speaker.turns,
            served=(row.locale, row.query) in served,
        )
        for row in chosen
        for speaker in [speakers.get(row.source, NOBODY)]
    ]


def _hearings(turns: Path, wanted: set[tuple[str, str]]) -> dict[tuple[str, str], tuple[str, ...]]:
    """Return the hearings of one turn of each text, the text first; texts without others are left out."""
    found: dict[tuple[str, str], tuple[str, ...]] = {}
    with duckdb.connect() as con:
        con.read_parquet(glob(turns)).create_view("turns")
        rows = con.execute("SELECT locale, utterance, MIN(nbest) FROM turns WHERE nbest IS NOT NULL GROUP BY ALL").fetchall()
    for locale, utterance, nbest in rows:
        key = (locale, normalise(utterance))
        if key in wanted:
            others = (normalise(other) for other in json.loads(nbest) if isinstance(other, str))
            found[key] = tuple(dict.fromkeys([key[1], *filter(None, others)]))
    return found
