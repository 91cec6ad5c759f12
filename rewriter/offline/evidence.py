"""From votes to evidence: for each rule i -> j, how often i fails, and how often j was meant."""

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
from scipy import sparse

from rewriter.offline.votes import Floats, Ints, Votes

Bools = npt.NDArray[np.bool_]


@dataclass(frozen=True, slots=True)
class Pairs:
    """The rules under consideration, one row each; a user is one vote at the most.

    Attributes:
        source: (m,) int64, node of the utterance i.
        target: (m,) int64, node j.
        rank: (m,) int64, 0 for the best target of i by S_ij.
        users: (m,) int64, distinct users whose way led to j more often than not.
        said_by: (m,) int64, distinct users who said i.
        turns: (m,) float64, turns of i in the log.
        first_day: (m,) int64, days since 1970 of the first turn of i.
        last_day: (m,) int64.
        score: (m,) float64, S_ij.
        stay: (m,) float64, S_ii.
        agreed: (m,) float64, votes of users for j, without the strongest one.
        asked: (m,) float64, votes of the same users for anything.
        ok: (m,) float64, users' share of success as spoken, summed over `said_by` users.
    """

    source: Ints
    target: Ints
    rank: Ints
    users: Ints
    said_by: Ints
    turns: Floats
    first_day: Ints
    last_day: Ints
    score: Floats
    stay: Floats
    agreed: Floats
    asked: Floats
    ok: Floats

    def __len__(self) -> int:
        return len(self.source)


def gather(votes: Votes, scores: sparse.csr_array, stay: Floats, rivals: int = 3) -> Pairs:
    """Count votes by user for the best targets of every source.

    A pair is only looked at because somebody restated i as j, so the vote that proposed it is no evidence for it: the
    strongest vote is left out of `agreed` and its user out of `asked`. What is left is a fair sample of other users.

    Args:
        votes: rows of (source, user).
        scores: (n, n) S_ij of the chain.
        stay: (n,) S_ii.
        rivals: targets looked at for each source.
    """
    n = scores.shape[0]
    sources, place = np.unique(votes.source, return_inverse=True)
    weight = np.minimum(votes.resolved, 1.0)
    scale = np.divide(weight, votes.resolved, out=np.zeros_like(weight), where=votes.resolved > 0)
    cast = sparse.coo_array(sparse.diags_array(scale) @ votes.goals)
    source, target, score, rank = _best_targets(scores, sources, rivals)

    key = place[cast.row].astype(np.int64) * n + cast.col
    wanted = np.searchsorted(sources, source) * n + target
    order = np.argsort(wanted)
    slot = np.searchsorted(wanted[order], key).clip(max=max(len(wanted) - 1, 0))
    hit = wanted[order][slot] == key if len(wanted) else np.zeros(len(key), dtype=bool)
    pair, row, vote = order[slot[hit]], cast.row[hit], cast.data[hit]

    m = len(source)
    total = _sums(pair, vote, m)
    users = np.bincount(pair[vote > 0.5 * weight[row]], minlength=m).astype(np.int64)
    strongest, proposer_weight = _strongest(pair, vote, weight[row], m)
    at = np.searchsorted(sources, source)
    everyone = _sums(place, weight, len(sources))[at]
    share = np.divide(votes.success, votes.turns, out=np.zeros_like(votes.turns), where=votes.turns > 0)
    return Pairs(
        source=source,
        target=target,
        rank=rank,
        users=users,
        said_by=np.bincount(place, minlength=len(sources))[at].astype(np.int64),
        turns=_sums(place, votes.turns, len(sources))[at],
        first_day=_extreme(np.minimum, place, votes.first_day, len(sources))[at],
        last_day=_extreme(np.maximum, place, votes.last_day, len(sources))[at],
        score=score,
        stay=stay[source],
        agreed=np.maximum(total - strongest, 0.0),
        asked=np.maximum(everyone - proposer_weight, 0.0),
        ok=_sums(place, share, len(sources))[at],
    )


def _best_targets(scores: sparse.csr_array, sources: Ints, rivals: int) -> tuple[Ints, Ints, Floats, Ints]:
    """Return (source, target, S_ij, rank) of the `rivals` best targets other than the source itself."""
    part = sparse.coo_array(scores[sources])
    row, col, value = sources[part.row], part.col.astype(np.int64), part.data
    kept = (row != col) & (value > 0)
    row, col, value = row[kept], col[kept], value[kept]
    order = np.lexsort((col, -value, row))
    row, col, value = row[order], col[order], value[order]
    first = np.searchsorted(row, row)
    rank = np.arange(len(row)) - first
    top = rank < rivals
    return row[top], col[top], value[top], rank[top].astype(np.int64)


def _strongest(pair: Ints, vote: Floats, weight: Floats, m: int) -> tuple[Floats, Floats]:
    """Return, for each pair, its strongest vote and the weight of the user who cast it."""
    order = np.lexsort((weight, vote, pair))
    last = np.flatnonzero(np.diff(pair[order], append=-1))
    strongest, of_user = np.zeros(m), np.zeros(m)
    strongest[pair[order][last]] = vote[order][last]
    of_user[pair[order][last]] = weight[order][last]
    return strongest, of_user


def _extreme(which: np.ufunc, place: Ints, value: Ints, n: int) -> Ints:
    out = np.full(n, np.iinfo(np.int64).max if which is np.minimum else np.iinfo(np.int64).min)
    which.at(out, place, value)
    return out


def _sums(place: Ints, value: Floats, n: int) -> Floats:
    return np.asarray(np.bincount(place, value, n), dtype=np.float64)
