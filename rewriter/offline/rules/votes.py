"""Votes of users on what was meant, and the evidence that they add up to for each rule i -> j.

`read`      the votes: for each source and user, the goals to which the user's restatements led
`gather`    the evidence for everybody: how often i fails, and how many users meant j
`of_users`  the same for single users

A user counts for at most one turn of a source. Of the success as spoken that users report, the `n_adversarial` largest reports on
each source are left out, so that fewer than k accounts cannot make a failing text look healthy. Users who are left out
(`Votes.counted`) vote for their own rules only.
"""

from dataclasses import dataclass
from typing import Any, TypeVar

import numpy as np
import numpy.typing as npt
import pandas as pd
from scipy import sparse

from rewriter.arrays import Bools, Floats, Ints
from rewriter.engines import connect
from rewriter.offline.mining.pipeline import Mined

TINY = 1e-9
"""Smallest weight that is used as a divisor."""
_TURN = 1000.0  # thousandths

_SOURCES = """
CREATE TEMP TABLE restated AS
SELECT DISTINCT e.source FROM edges AS e SEMI JOIN (SELECT node FROM nodes WHERE kind = 'u') AS n ON n.node = e.source
WHERE e.target <> e.source
"""
_ROWS = """
SELECT u.node AS source, u.user_no, u.spoken, u.success, u.first_day, u.last_day, o.user_no IS NULL AS counted
FROM user_nodes AS u SEMI JOIN restated AS s ON s.source = u.node LEFT JOIN left_out AS o ON o.user_no = u.user_no
ORDER BY u.node, u.user_no
"""
_STEPS = "SELECT e.source, e.user_no, e.target, e.mass FROM user_edges AS e SEMI JOIN restated AS s ON s.source = e.source"


@dataclass(frozen=True, slots=True)
class Votes:
    """One row for each (source, user) of a source that anybody ever restated, ordered by source.

    Attributes:
        source: (r,) int64, node of the utterance.
        user: (r,) int64, number of the user who said it (`tables.USERS`).
        turns: (r,) float64, turns that were sent as spoken, discounted by age like all that follows.
        success: (r,) float64, turns that succeeded as spoken.
        steps: (r, n) float64 CSR, turns that were restated as node j next.
        goals: (r, n) float64 CSR, turns whose path ended well at node j. Beyond the restatement the path is that of the chain's
            S.
        resolved: (r,) float64, row sums that `goals` would have if the chain kept all targets and not only the best.
        first_day: (r,) int64, days since 1970.
        last_day: (r,) int64.
        counted: (r,) bool, whether the user counts for others (`sql/left_out.sql`).
    """

    source: Ints
    user: Ints
    turns: Floats
    success: Floats
    steps: sparse.csr_array
    goals: sparse.csr_array
    resolved: Floats
    first_day: Ints
    last_day: Ints
    counted: Bools

    def for_others(self) -> "Votes":
        """Return the rows of the users who count for others."""
        if self.counted.all():
            return self
        return Votes(*(getattr(self, name)[self.counted] for name in self.__slots__))


def read(mined: Mined, scores: sparse.csr_array, absorbed: Floats) -> Votes:
    """Follow every restatement to the goals where, by the chain, it ends.

    A user's step from source i to state k gives S_kj votes for goal j. The first step is the user's own, and the rest of the path
    is that of all users (Ponnusamy et al., arXiv 1911.02557, rank by S; here the first step is counted by user).

    Args:
        mined: its tables user_nodes, user_edges, nodes, edges and left_out are read.
        scores: (n, n) S_ij of the chain.
        absorbed: (n,) B_i+ of the chain.
    """
    with connect(**mined.named("user_nodes", "user_edges", "nodes", "edges", "left_out")) as con:
        con.execute(_SOURCES)
        rows: dict[str, Any] = con.execute(_ROWS).fetchnumpy()
        steps: dict[str, Any] = con.execute(_STEPS).fetchnumpy()
    n_users = 1 + max(int(of["user_no"].max(initial=0)) for of in (rows, steps))
    key, wanted = (of["source"] * n_users + of["user_no"] for of in (rows, steps))
    row = np.searchsorted(key, wanted)
    found = np.append(key, -1)[row] == wanted
    moves = steps["mass"][found] / _TURN, (row[found], steps["target"][found])
    moved = sparse.csr_array(moves, shape=(len(key), scores.shape[0]))
    return Votes(
        source=np.asarray(rows["source"], dtype=np.int64),
        user=np.asarray(rows["user_no"], dtype=np.int64),
        turns=np.asarray(rows["spoken"], dtype=np.float64) / _TURN,
        success=np.asarray(rows["success"], dtype=np.float64) / _TURN,
        steps=moved,
        goals=sparse.csr_array(moved @ scores),
        resolved=np.asarray(moved @ absorbed, dtype=np.float64),
        first_day=np.asarray(rows["first_day"], dtype=np.int64),
        last_day=np.asarray(rows["last_day"], dtype=np.int64),
        counted=np.asarray(rows["counted"], dtype=bool),
    )


Number = TypeVar("Number", np.int64, np.float64)

_FAINT = 0.05  # of a turn; what the chain spreads further is no vote
_TINY = 1e-9
_MOST_TURNS = 5.0
"""Largest number of turns of one user that count as traffic of a source."""
_FULL_WEIGHT_SOURCES = 20.0
"""Up to this many sources of one user, each vote and each report of success has full weight. With more, each weighs less."""


@dataclass(frozen=True, slots=True)
class Pairs:
    """Every source i with every goal j that a path led to, one row each, ordered by source. A user has at most one vote.

    Attributes:
        source: (m,) int64, node of the utterance i.
        target: (m,) int64, node j. It is i itself where users came back to the same words.
        users: (m,) int64, distinct users who voted for j.
        said_by: (m,) int64, distinct users who said i.
        spoken_by: (m,) float64, number of users whose success with i as spoken is known. A user whose turns were rewritten or are
            old counts as a fraction. Users whose reports are left out are not counted.
        traffic: (m,) float64, turns of i in the log, at most `_MOST_TURNS` of each user.
        fit_weight: (m,) float64, weight of i in the fit of success as spoken, 0..1. A user adds 1 to a source that the user
            restated, but no more than `_FULL_WEIGHT_SOURCES` to all sources together; `n_adversarial` users add nothing.
        turns: (m,) float64, turns of i in the log.
        first_day: (m,) int64, days since 1970 of the first turn of i.
        last_day: (m,) int64.
        votes: (m,) float64, votes of users for j.
        user_weights: (m,) float64, the same votes, scaled so that each user has at most one vote on all sources together, without
            those of the same `n_adversarial` users.
        proposed: (m,) float64, the strongest vote for j, which proposed the pair.
        chance: (m,) float64, share of j among the votes of all sources.
        ok: (m,) float64, users' shares of success as spoken, summed; the largest `n_adversarial` of them are left out.
    """

    source: Ints
    target: Ints
    users: Ints
    said_by: Ints
    spoken_by: Floats
    traffic: Floats
    fit_weight: Floats
    turns: Floats
    first_day: Ints
    last_day: Ints
    votes: Floats
    user_weights: Floats
    proposed: Floats
    chance: Floats
    ok: Floats

    def __len__(self) -> int:
        return len(self.source)

    @property
    def agreed(self) -> Floats:
        """Votes of the other users for j, (m,): all votes but the one that proposed the pair."""
        return np.maximum(self.votes - self.proposed, 0.0)

    @property
    def others(self) -> Floats:
        """Votes of the other users for anything, (m,)."""
        sources, place = np.unique(self.source, return_inverse=True)
        return np.maximum(_sums(place, self.votes, len(sources))[place] - self.proposed, 0.0)


def gather(votes: Votes, n_adversarial: int = 0) -> Pairs:
    """Count votes by user.

    A user has one vote on each source. It is for the goal that most of the user's turns of the source led to, and it weighs as
    much as there is evidence for that goal, at most one turn. A pair is considered only because somebody proposed it, so its
    strongest vote is no evidence for it. The `agreed` votes are a fair sample of other users.

    Args:
        votes: rows of (source, user).
        n_adversarial: number of users of each source who may report false success, and number who may restate what works.
    """
    votes = votes.for_others()
    n = votes.goals.shape[1]
    sources, place = np.unique(votes.source, return_inverse=True)
    row_weight = _user_weight(votes, n_adversarial)
    known, share = _as_spoken(votes, row_weight)
    left_out, _ = _loudest(place, share, len(sources), n_adversarial)
    well, heard = (_sums(place, column, len(sources)) for column in (share, known))
    ok, spoken_by = well - left_out, heard - left_out
    fitted = (
        row_weight * _restated(votes) * _in_priors(votes, row_weight, (well / np.maximum(heard, _TINY))[place], n_adversarial)
    )

    row, goal, vote = _main_goals(votes.goals)
    vote = vote * row_weight[row]
    key, pair = np.unique(votes.source[row] * n + goal, return_inverse=True)
    m, source = len(key), key // n
    at = np.searchsorted(sources, source)
    user = votes.user[row]
    user_weight = vote / np.maximum(np.bincount(user, vote), 1.0)[user] * (fitted[row] > 0)
    total = _sums(pair, vote, m)
    weights = _sums(pair, user_weight, m)
    goal_prior = _sums(key % n, weights, n)
    strongest = np.zeros(m)
    np.maximum.at(strongest, pair, vote)
    first, last = np.full(len(sources), np.iinfo(np.int64).max), np.full(len(sources), np.iinfo(np.int64).min)
    np.minimum.at(first, place, votes.first_day)
    np.maximum.at(last, place, votes.last_day)
    return Pairs(
        source=source,
        target=key % n,
        users=np.bincount(pair, minlength=m).astype(np.int64),
        said_by=np.bincount(place, minlength=len(sources))[at].astype(np.int64),
        spoken_by=spoken_by[at],
        traffic=_sums(place, np.minimum(votes.turns, _MOST_TURNS), len(sources))[at],
        fit_weight=np.minimum(_sums(place, fitted, len(sources)), 1.0)[at],
        turns=_sums(place, votes.turns, len(sources))[at],
        first_day=first[at],
        last_day=last[at],
        votes=total,
        user_weights=weights,
        proposed=strongest,
        chance=goal_prior[key % n] / max(float(weights.sum()), 1e-12),
        ok=ok[at],
    )


def _as_spoken(votes: Votes, weight: Floats) -> tuple[Floats, Floats]:
    """Return how much of each row's success as spoken is known, 0..1, and the success among it, 0..1, (r,) each."""
    known = np.minimum(votes.turns, 1.0) * weight
    share = np.divide(votes.success, votes.turns, out=np.zeros_like(votes.turns), where=votes.turns > 0)
    return known, np.asarray(np.minimum(share, 1.0) * known, dtype=np.float64)


def _restated(votes: Votes) -> npt.NDArray[np.bool_]:
    """Mark the rows whose user restated the source by another text, (r,)."""
    steps = sparse.coo_array(votes.steps)
    away = steps.col != votes.source[steps.row]
    return np.asarray(np.bincount(steps.row[away], steps.data[away], len(votes.source)) > _FAINT, dtype=bool)


def _user_weight(votes: Votes, n_adversarial: int) -> Floats:
    """Return the weight of each row for others, 0..1, (r,). It is less for a user of more than `_FULL_WEIGHT_SOURCES` sources.

    A source counts for a user if the user restated it, or if more than `n_adversarial` users restated it. So nobody loses weight
    because a few accounts restate whatever is said.
    """
    restated = _restated(votes)
    n = int(votes.source.max(initial=-1)) + 1
    common = np.bincount(votes.source[restated], minlength=n)[votes.source] > n_adversarial
    sources = np.bincount(votes.user[restated | common], minlength=int(votes.user.max(initial=-1)) + 1)
    return np.asarray(1.0 / np.maximum(sources[votes.user] / _FULL_WEIGHT_SOURCES, 1.0), dtype=np.float64)


def _in_priors(votes: Votes, weight: Floats, rate: Floats, n_adversarial: int) -> npt.NDArray[np.bool_]:
    """Mark the rows of all users but the `n_adversarial` who restate most of what works as spoken, (r,).

    The priors of the log are fitted without these users. A few accounts that restate whatever works would otherwise make every
    failing text look healthy, and every restatement look stray.

    Args:
        votes: rows of (source, user).
        weight: (r,) of each row.
        rate: (r,) success of the source of each row as spoken, 0..1.
        n_adversarial: so many users may restate what works.
    """
    against = np.bincount(votes.user, weight * rate * _restated(votes)).round(9)  # equal, in whatever order it was added up
    return ~np.isin(votes.user, np.argsort(-against, kind="stable")[:n_adversarial])


def _loudest(place: Ints, share: Floats, n: int, count: int) -> tuple[Floats, Floats]:
    """Return the sum of the `count` largest shares of each group, (n,), and for each row that of the other rows', (r,).

    Example:
        >>> group, others = _loudest(np.array([0, 0, 0, 1]), np.array([0.5, 1.0, 0.0, 1.0]), 2, 1)
        >>> group.tolist(), others.tolist()
        ([1.0, 1.0], [1.0, 0.5, 1.0, 0.0])
    """
    order = np.lexsort((-share, place))
    first = np.searchsorted(place[order], np.arange(n))
    rank = np.empty(len(place), dtype=np.int64)
    rank[order] = np.arange(len(place)) - first[place[order]]
    among = rank < count
    group, following = _sums(place, np.where(among, share, 0.0), n), _sums(place, np.where(rank == count, share, 0.0), n)
    return group, group[place] + np.where(among, following[place] - share, 0.0)


def strays(pairs: Pairs, *, seed: int, size: int = 5_000) -> tuple[Ints, Ints]:
    """Draw random sources with random goals, each as often as votes are cast on it. They show which similarity chance gives."""
    rng = np.random.default_rng(seed)
    if not len(pairs):
        return pairs.source, pairs.target
    cast = pairs.user_weights if pairs.user_weights.any() else np.ones(len(pairs))  # nobody, where few users ever restated
    share = cast / cast.sum()
    return pairs.source[rng.choice(len(pairs), size, p=share)], pairs.target[rng.choice(len(pairs), size, p=share)]


def of_users(votes: Votes, everybody: Pairs, least: float, n_adversarial: int = 0) -> tuple[Ints, Pairs]:
    """Return the evidence for each user whose turns led from a source to some goal at least `least` times.

    Each of the user's own turns is a vote, and each other user of the source has one vote. The user's own vote proposes the pair.
    Pairs without a second vote are left out, because no rule could be launched on them.

    Args:
        votes: rows of (source, user).
        everybody: what `gather` made of them.
        least: turns of the user's own, may be a fraction.
        n_adversarial: number of other users of each source who may report false success.

    Returns:
        The row of `votes` of each pair, (m,), and the pairs. Their `source` is that row, because each user is assessed
        separately.
    """
    entries = sparse.coo_array(votes.goals)
    own = pd.DataFrame({"row": entries.row.astype(np.int64), "goal": entries.col.astype(np.int64), "own": entries.data})
    main_row, main_goal, main_vote = _main_goals(votes.goals)
    row_weight = np.zeros(len(votes.source))
    row_weight[votes.counted] = _user_weight(votes.for_others(), n_adversarial)
    counted = pd.DataFrame({"row": main_row, "goal": main_goal, "counted": main_vote * row_weight[main_row]})
    said = pd.DataFrame(
        {"source": everybody.source, "goal": everybody.target, "votes": everybody.votes, "pair": np.arange(len(everybody))}
    )

    busy = np.unique(own.loc[own["own"] >= least, "row"])
    rows = pd.DataFrame({"row": busy, "source": votes.source[busy]}).merge(said, on="source")
    rows = rows.merge(own, on=["row", "goal"], how="outer").merge(counted, on=["row", "goal"], how="left")
    rows = rows[rows["row"].isin(busy)].fillna({"votes": 0.0, "own": 0.0, "counted": 0.0, "pair": -1})
    rows["votes"] += rows["own"] - rows["counted"]
    rows = rows[rows["votes"] > _FAINT]
    second = rows[(rows["own"] >= least) & (rows["votes"] - rows["own"].clip(upper=1.0) > _FAINT)]
    rows = rows[rows["row"].isin(second["row"])].sort_values(["row", "goal"])

    row, goal, pair = (rows[name].to_numpy(dtype=np.int64) for name in ("row", "goal", "pair"))
    chance = _sums(everybody.target, everybody.user_weights, votes.goals.shape[1])
    chance /= max(float(everybody.user_weights.sum()), 1e-12)
    others, others_ok = _others(votes, row_weight, n_adversarial)
    return row, Pairs(
        source=row,
        target=goal,
        users=np.where(pair >= 0, np.append(everybody.users, 1)[pair], 1),
        said_by=_of_source(everybody, votes.source[row], everybody.said_by),
        spoken_by=votes.turns[row] + others[row],
        traffic=np.minimum(votes.turns[row], _MOST_TURNS),
        fit_weight=np.ones(len(row)),
        turns=votes.turns[row],
        first_day=votes.first_day[row],
        last_day=votes.last_day[row],
        votes=rows["votes"].to_numpy(dtype=np.float64),
        user_weights=rows["votes"].to_numpy(dtype=np.float64),
        proposed=np.minimum(np.where(rows["own"] > 0, rows["own"], rows["votes"]), 1.0),
        chance=chance[goal],
        ok=votes.success[row] + others_ok[row],
    )


def _others(votes: Votes, weight: Floats, n_adversarial: int) -> tuple[Floats, Floats]:
    """Return, for each row, the number of other users whose success with its source is known, and the sum of it, (r,) each."""
    sources, place = np.unique(votes.source, return_inverse=True)
    known, share = _as_spoken(votes, weight)
    _, left_out = _loudest(place, share, len(sources), n_adversarial)
    number, ok = (_sums(place, column, len(sources))[place] - column - left_out for column in (known, share))
    return np.maximum(number, 0.0), np.maximum(ok, 0.0)


def _of_source(everybody: Pairs, source: Ints, value: npt.NDArray[Number]) -> npt.NDArray[Number]:
    """Return, for each of some sources, a value that is the same for all pairs of a source."""
    return value[np.searchsorted(everybody.source, source)]


def _main_goals(goals: sparse.csr_array) -> tuple[Ints, Ints, Floats]:
    """Return (row, goal, vote) of the greatest entry of each row that has one, at most one vote."""
    cast = sparse.coo_array(goals)
    order = np.lexsort((-cast.col, cast.data, cast.row))
    row = cast.row[order].astype(np.int64)
    last = np.flatnonzero(np.diff(row, append=-1))
    picked = order[last]
    kept = picked[cast.data[picked] > 0]
    return cast.row[kept].astype(np.int64), cast.col[kept].astype(np.int64), np.minimum(cast.data[kept], 1.0)


def _sums(place: Ints, value: npt.NDArray[np.float64], n: int) -> Floats:
    return np.asarray(np.bincount(place, value, n), dtype=np.float64)
