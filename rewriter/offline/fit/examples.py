"""Examples for the ranker and the risk: texts of the log that fail, with what was meant, and texts that are healthy.

`Told`: who says a text, and what that user was led to.
"""

import json
from collections import Counter
from collections.abc import Collection, Container, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

import duckdb
import numpy as np
import pandas as pd
from scipy import sparse

from rewriter.engines.duckdb import glob
from rewriter.offline.mining.pipeline import Mined
from rewriter.offline.rules import surface
from rewriter.offline.rules.votes import Votes
from rewriter.text import normalise

_SPEAKERS = 5  # users of one text that are heard
_FAINT = 0.02  # of all votes on a text; fewer are left out
_P_UNSEEN_GOAL = 5, 20  # of so many votes so many are for none of everybody's queries, before the log has its say

_SAID = """
SELECT n.node, n.turns, u.user_id AS user FROM user_nodes AS n JOIN users AS u ON u.user_no = n.user_no
WHERE n.node IN (SELECT UNNEST(?))
ORDER BY n.node, n.user_no
"""


@dataclass(frozen=True, slots=True)
class Speaker:
    """One user of a text.

    Attributes:
        user: keyed hash; empty for nobody.
        turns: how often she said it.
        goals: interpretation -> share of her votes; empty where she was led nowhere.
    """

    user: str
    turns: float
    goals: Mapping[int, float]


NOBODY = Speaker("", 0.0, {})


class Told:
    """What the mined tables tell of users and texts.

    A vote for an interpretation that is neither among everybody's queries nor among the user's own says nothing: many a
    restatement is itself misunderstood without anybody noticing, and what few were ever understood as is mostly such.

    Args:
        mined: its tables user_nodes and users are read.
        votes: what each user's turns say was meant.
        good: everybody's queries (`rewriter.offline.fit.query_index.worthy`).
        own: each user's (`rewriter.offline.fit.query_index.habits`).

    Attributes:
        p_unseen_goal: share of the votes for what is not among everybody's queries, as often as a failing text means none.
    """

    def __init__(self, mined: Mined, votes: Votes, good: pd.DataFrame, own: pd.DataFrame) -> None:
        self._said = {name: glob(getattr(mined, name)) for name in ("user_nodes", "users")}
        cast = sparse.coo_array(votes.goals)
        user = surface.hashes(mined.users, votes.user)
        frame = pd.DataFrame({"source": votes.source[cast.row], "user": user[cast.row], "goal": cast.col, "turns": cast.data})
        frame["share"] = frame["turns"] / frame.groupby(["source", "user"])["turns"].transform("sum")
        hers = pd.MultiIndex.from_frame(frame[["user", "goal"]]).isin(pd.MultiIndex.from_frame(own[["user_id", "node"]]))
        shared = frame["goal"].isin(good["node"])
        self.p_unseen_goal = (float(frame.loc[~shared, "turns"].sum()) + _P_UNSEEN_GOAL[0]) / (
            float(frame["turns"].sum()) + _P_UNSEEN_GOAL[1]
        )
        self._votes = frame[(frame["share"] > _FAINT) & (shared | hers)]

    def speakers(self, sources: Collection[int], rng: np.random.Generator) -> dict[int, list[Speaker]]:
        """Draw a few users of each text whom it led somewhere; one of the others where it led nobody.

        Args:
            sources: nodes of texts.
            rng: what draws.
        """
        with duckdb.connect() as con:
            for name, path in self._said.items():
                con.read_parquet(path).create_view(name)
            said = con.execute(_SAID, [sorted(sources)]).df()
        votes = self._votes[self._votes["source"].isin(said["node"])]
        voted = pd.MultiIndex.from_frame(votes[["source", "user"]])
        led = pd.MultiIndex.from_frame(said[["node", "user"]]).isin(voted)
        said = said.assign(led=led).iloc[np.lexsort((rng.random(len(said)), ~led, said["node"]))]
        place = said.groupby("node").cumcount()
        said = said[(place == 0) | (said["led"] & (place < _SPEAKERS))]
        votes = votes[voted.isin(pd.MultiIndex.from_frame(said[["node", "user"]]))]  # a common text has votes of thousands
        goals = {key: dict(zip(of["goal"], of["share"], strict=True)) for key, of in votes.groupby(["source", "user"])}
        found: dict[int, list[Speaker]] = {}
        for row in said.itertuples():
            speaker = Speaker(row.user, float(row.turns), goals.get((row.node, row.user), {}))
            found.setdefault(row.node, []).append(speaker)
        return found


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
        texts: what `rewriter.offline.fit.query_index.said` returned.
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
