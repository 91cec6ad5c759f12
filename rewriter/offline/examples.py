"""Examples for the ranker and the risk: texts of the log that fail, with what was meant, and texts that are healthy."""

import json
from collections import defaultdict
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

import duckdb
import numpy as np
import pandas as pd

from rewriter.model.hypothesis import slots_of
from rewriter.model.phrasebook import Phrasebook, Phrases
from rewriter.model.wording import Wording
from rewriter.offline.decide import Crowd
from rewriter.offline.mine import Mined
from rewriter.tables import glob
from rewriter.text import normalise

_HEALTHY, _FAILING = 0.6, 0.4  # share of success at least, at most; what lies between teaches nothing
_LEAST_TURNS = 1.5  # of success behind a phrase that others may be rewritten to
_LEAST_SHARE = 0.4
_FAINT = 0.02  # of all votes on a text; fewer are left out
_MOST = 3_000  # examples of each kind

_SAID = """
WITH said AS (
  SELECT locale, query, SUM(turns) AS said, SUM(success) / 1000.0 AS worked, SUM(failed) AS failed
  FROM queries GROUP BY locale, query
),
best AS (
  SELECT locale, query, node, users, success / 1000.0 AS success
  FROM queries
  QUALIFY ROW_NUMBER() OVER (PARTITION BY locale, query ORDER BY success DESC, turns DESC, node) = 1
)
SELECT b.locale, b.query, b.node, b.users, b.success, b.success / (s.said + 1) AS share, s.worked / s.said AS rate,
       s.failed / GREATEST(s.said - s.worked, s.failed, 1e-9) AS honest, n.kind, n.state, u.node AS source,
       COALESCE(u.users, b.users) AS said_by
FROM best AS b
JOIN said AS s ON b.locale = s.locale AND b.query = s.query
JOIN nodes AS n ON n.node = b.node
LEFT JOIN nodes AS u ON u.kind = 'u' AND u.locale = b.locale AND u.state = b.query
WHERE b.query <> ''
ORDER BY b.locale, b.query
"""


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
    """

    locale: str
    hearings: Sequence[str]
    goals: Mapping[int, float]
    healthy: bool
    honest: float
    users: int


def said(mined: Mined) -> pd.DataFrame:
    """Return every text that was sent, with the interpretation that it had most success with, one row each."""
    with duckdb.connect() as con:
        for name in ("queries", "nodes"):
            con.read_parquet(glob(getattr(mined, name))).create_view(name)
        return con.execute(_SAID).df()


def phrasebook(texts: pd.DataFrame, min_users: int) -> Phrasebook:
    """Return the texts of enough users that work well enough to be sent for others."""
    good = texts[(texts["users"] >= min_users) & (texts["success"] >= _LEAST_TURNS) & (texts["share"] >= _LEAST_SHARE)]
    return Phrasebook({
        str(locale): Phrases(
            of["query"].tolist(),
            of["node"].to_numpy(dtype=np.int64),
            of["success"].to_numpy(dtype=np.float64),
            of["share"].to_numpy(dtype=np.float64),
        )
        for locale, of in good.groupby("locale", sort=True)
    })  # fmt: skip


def wordings(texts: pd.DataFrame, min_users: int) -> dict[str, Wording]:
    """Return how the healthy texts of enough users are made, by locale."""
    good = texts[(texts["users"] >= min_users) & (texts["success"] >= _LEAST_TURNS) & (texts["share"] >= _LEAST_SHARE)]
    return {str(locale): Wording.of(zip(of["query"], map(_names, of["kind"], of["state"]), strict=True))
            for locale, of in good.groupby("locale", sort=True)}  # fmt: skip


def examples(texts: pd.DataFrame, book: Phrasebook, crowd: Crowd, turns: Path, seed: int) -> list[Example]:
    """Return healthy texts, and failing ones with their goals as far as the log tells.

    Args:
        texts: what `said` returned.
        book: the phrases; a vote for an interpretation that has none is left out, see `_goals`.
        crowd: who was led from which text to which goal.
        turns: Parquet of `tables.TURNS`, for the other hearings.
        seed: of the sample that a large log is cut to.
    """
    rng = np.random.default_rng(seed)
    rate = texts["rate"].to_numpy(dtype=np.float64)
    kept = [
        np.sort(rng.choice(rows, _MOST, replace=False)) if len(rows) > _MOST else rows
        for rows in (np.flatnonzero(rate >= _HEALTHY), np.flatnonzero(rate <= _FAILING))
    ]
    goals = _goals(book, crowd)
    chosen = list(texts.iloc[np.concatenate(kept)].itertuples())
    heard = _hearings(turns, {(row.locale, row.query) for row in chosen})
    return [
        Example(
            locale=row.locale,
            hearings=heard.get((row.locale, row.query), (row.query,)),
            goals={int(row.node): 1.0} if row.rate >= _HEALTHY else goals.get(row.source, {}),
            healthy=bool(row.rate >= _HEALTHY),
            honest=1.0 if silent else float(row.honest),
            users=int(row.said_by),
        )
        for silent in [not texts["honest"].any()]
        for row in chosen
    ]


def _goals(book: Phrasebook, crowd: Crowd) -> dict[int, dict[int, float]]:
    """Return node of the source -> goal -> share of the votes.

    Votes for what few users were ever understood as say nothing: many a restatement is itself misunderstood without anybody
    noticing.
    """
    pairs = crowd.pairs
    votes = pd.DataFrame({"source": pairs.source, "target": pairs.target, "votes": pairs.votes})
    votes["share"] = votes["votes"] / votes.groupby("source")["votes"].transform("sum")
    votes = votes[(votes["share"] > _FAINT) & votes["target"].isin(book.interpretations)]
    goals: dict[int, dict[int, float]] = defaultdict(dict)
    for source, target, share in zip(votes["source"], votes["target"], votes["share"], strict=True):
        goals[int(source)][int(target)] = float(share)
    return goals


def _names(kind: str, state: str) -> dict[str, str]:
    return {normalise(value): slot for slot, value in slots_of(state).items() if value} if kind == "h" else {}


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
