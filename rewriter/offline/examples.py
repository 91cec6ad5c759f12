"""Examples for the ranker and the risk: texts of the log that fail, with what was meant, and texts that are healthy."""

import json
from collections import Counter
from collections.abc import Container, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

import duckdb
import numpy as np
import pandas as pd

from rewriter.database import glob
from rewriter.offline.told import NOBODY, Speaker, Told
from rewriter.text import normalise

_HEALTHY, _FAILING = 0.6, 0.4  # share of success at least, at most; what lies between teaches nothing
_MOST = 3_000  # examples of each kind


@dataclass(frozen=True, slots=True)
class Example:
    """One text of the log, as one of its users says it.

    Attributes:
        locale: of the text.
        hearings: the text, then what else was heard in one of its turns.
        goals: interpretation -> share of her votes on the text; of a healthy text its own, with 1.
        main: the commonest of the text, whoever says it; -1 where nobody was led anywhere.
        healthy: whether it works as spoken.
        honest: P(the assistant says so | the text fails).
        users: distinct users who said it.
        user: keyed hash of the one of them whose request this is; empty for nobody.
        turns: how often she said it.
        weight: her part in the text, that of all its examples is 1.
        served: whether a rule answers it, so that the online layer never will.
        first_day: on which it was first heard, days since 1970.
    """

    locale: str
    hearings: Sequence[str]
    goals: Mapping[int, float]
    main: int
    healthy: bool
    honest: float
    users: int
    user: str
    turns: float
    weight: float
    served: bool
    first_day: int


def examples(texts: pd.DataFrame, told: Told, served: Container[tuple[str, str]], turns: Path, seed: int) -> list[Example]:
    """Return healthy texts, and failing ones with their goals as far as the log tells, each as a few of its users say it.

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
            main=int(row.node) if row.rate >= _HEALTHY else _main(saying),
            healthy=bool(row.rate >= _HEALTHY),
            honest=1.0 if silent else float(row.honest),
            users=int(row.said_by),
            user=speaker.user,
            turns=speaker.turns,
            weight=1 / len(saying),
            served=(row.locale, row.query) in served,
            first_day=int(row.first_day),
        )
        for row in chosen
        for saying in [speakers.get(row.source, [NOBODY])[: 1 if row.rate >= _HEALTHY else None]]
        for speaker in saying
    ]


def _main(speakers: Sequence[Speaker]) -> int:
    """Return the goal that a text most often led to, -1 for none."""
    votes: Counter[int] = Counter()
    for speaker in speakers:
        votes.update(speaker.goals)
    return min(votes, key=lambda goal: (-votes[goal], goal), default=-1)


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
