"""`Told`: who says a text, and what that user was led to."""

from collections.abc import Collection, Mapping
from dataclasses import dataclass

import duckdb
import numpy as np
import pandas as pd
from scipy import sparse

from rewriter.database import glob
from rewriter.offline import surface
from rewriter.offline.mine import Mined
from rewriter.offline.votes import Votes

_SPEAKERS = 5  # users of one text that are heard
_FAINT = 0.02  # of all votes on a text; fewer are left out
_STRANGE = 5, 20  # of so many votes so many are for none of everybody's queries, before the log has its say

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
        good: everybody's queries (`rewriter.offline.stock.worthy`).
        own: each user's (`rewriter.offline.stock.habits`).

    Attributes:
        strange: share of the votes for what is not among everybody's queries, as often as a failing text means none of them.
    """

    def __init__(self, mined: Mined, votes: Votes, good: pd.DataFrame, own: pd.DataFrame) -> None:
        self._said = {name: glob(getattr(mined, name)) for name in ("user_nodes", "users")}
        cast = sparse.coo_array(votes.goals)
        user = surface.hashes(mined.users, votes.user)
        frame = pd.DataFrame({"source": votes.source[cast.row], "user": user[cast.row], "goal": cast.col, "turns": cast.data})
        frame["share"] = frame["turns"] / frame.groupby(["source", "user"])["turns"].transform("sum")
        hers = pd.MultiIndex.from_frame(frame[["user", "goal"]]).isin(pd.MultiIndex.from_frame(own[["user_id", "node"]]))
        shared = frame["goal"].isin(good["node"])
        self.strange = (float(frame.loc[~shared, "turns"].sum()) + _STRANGE[0]) / (float(frame["turns"].sum()) + _STRANGE[1])
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
