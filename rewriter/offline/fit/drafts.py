"""`Draft`: a labelled text with the candidates that retrieval finds for it, and the probability that each of its votes is real.

A vote says that users restated the text by something else. Some votes are stray: the user gave up, and the later turn asked for
the next goal. `p_real` estimates which.

`averaged` does micro-aggregation: rows of drafts are averaged in groups of at least k users, so that a shared model learns
nothing that rests on fewer users.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final

import numpy as np
from scipy.optimize import isotonic_regression

from rewriter.arrays import Floats, Ints
from rewriter.model.retrieve import Finder, Pool
from rewriter.offline.fit.examples import LabelledText
from rewriter.text import text_draw

_BINS = 20  # number of bins of likeness, each with the same number of votes and random pairs
_NO_NBEST: Final = 0.25  # share of the texts whose other hearings are hidden, so that the models do not depend on them
_NO_USER: Final = 0.25  # share of the texts whose user is hidden, so that the models do not depend on habits
_CANDIDATES = 40  # candidates of a text; so many, that enough are left without those of its goals


@dataclass(frozen=True, slots=True)
class Draft:
    """A labelled text and its candidates.

    Attributes:
        text: the labelled text.
        pool: its candidates, its own text among them.
        hearings: the hearings that were searched for.
        p_real: P(the user restated the text by a goal), of each of its goals in their order, 1 together at most; 1 for a healthy
            text.
    """

    text: LabelledText
    pool: Pool
    hearings: Sequence[str]
    p_real: Sequence[float]


def draft_all(texts: Sequence[LabelledText], finder: Finder) -> list[Draft]:
    """Return a draft of each text.

    The probability that a vote is real depends on the detector, and on how much less similar its goal is than the most similar
    text of the index. What was meant is near the top, while the next goal may be anywhere.
    """
    drafts = [_draft(text, finder) for text in texts]
    failing = [draft for draft in drafts if not draft.text.healthy and draft.text.goals]
    votes = [(draft, goal, share) for draft in failing for goal, share in draft.text.goals.items()]
    unlike = [_behind(draft, other) for draft, other in _random_pairs(votes)]
    alike = np.array([_behind(draft, goal) for draft, goal, _ in votes])
    p = iter(p_real(alike, np.array([share for *_, share in votes]), np.array(unlike)).tolist())
    real = {id(draft): _at_most_one([next(p) for _ in draft.text.goals]) for draft in failing}
    return [Draft(draft.text, draft.pool, draft.hearings, real.get(id(draft), [1.0] * len(draft.text.goals))) for draft in drafts]


def _at_most_one(p: list[float]) -> list[float]:
    """Return probabilities of things that exclude each other, scaled down if together they exceed 1."""
    return [one / max(sum(p), 1.0) for one in p]


def _random_pairs(votes: Sequence[tuple[Draft, int, float]]) -> list[tuple[Draft, int]]:
    """Return texts with the goals of other texts: each vote with the one before it in an order drawn by hash.

    So a vote more, or less, changes no more than two pairs.
    """
    keys = [f"{draft.text.hearings[0]}\0{sorted(draft.text.goals).index(goal)}" for draft, goal, _ in votes]
    order = sorted(range(len(votes)), key=lambda i: (text_draw("another goal", keys[i]), i))
    paired = ((votes[one], votes[other]) for one, other in zip(order, [*order[1:], *order[:1]], strict=True))
    return [(a[0], b[1]) for a, b in paired if a[1] != b[1] and a[0].text.hearings[0] != b[0].text.hearings[0]]


def p_real(likeness: Floats, restates: Floats, unlike: Floats) -> Floats:
    """Return P(a vote is real) from how alike its two texts are and from what the detector gives it, (n,).

    Votes are a mixture of real and stray ones. The texts of a stray vote are as similar as a random text and goal. The detector
    says how many votes are stray. So with n votes in a bin of likeness, with S stray votes in all bins together by the detector,
    and with the share g of the random pairs in the bin::

        real = max(n - S g, 0),    P(real | bin, p) = 1 / (1 + (1 - p) / p * g / f)

    where f is the share of the bin among all that is real, and p is what the detector gives the vote (Bayes' rule). f / g is made
    to rise with likeness (isotonic regression), and is 1 at least, because the detector has already counted that two texts are
    unlike each other. Each bin has one random pair and one real vote more than were counted.

    Args:
        likeness: (n,) of each vote, on any scale on which higher means more alike.
        restates: (n,) P(restates) of each vote by the detector, above 0.
        unlike: (m,) likeness of random pairs.

    Example:
        >>> rng = np.random.default_rng(0)
        >>> real, stray = rng.normal(5, 1, 900), rng.normal(0, 1, 100)
        >>> p = p_real(np.append(real, stray), np.full(1000, 0.9), rng.normal(0, 1, 5000))
        >>> bool(p[:900].mean() > 0.99), round(float(p[900:].mean()), 1)
        (True, 0.9)
    """
    if not len(likeness) or not len(unlike):
        return np.asarray(restates, dtype=np.float64)
    edges = np.unique(np.quantile(np.concatenate([likeness, unlike]), np.linspace(0, 1, _BINS + 1)[1:-1]))
    n = len(edges) + 1
    place = np.searchsorted(edges, likeness)
    stray = np.bincount(np.searchsorted(edges, unlike), minlength=n) + 1.0
    stray /= stray.sum()
    votes = np.bincount(place, minlength=n)
    real = np.maximum(votes - float((1 - restates).sum()) * stray, 0.0) + 1.0
    real /= real.sum()
    ratio = np.exp(isotonic_regression(np.log(real / stray), weights=votes + 1.0).x)[place]
    return np.asarray(1 / (1 + (1 - restates) / restates / np.maximum(ratio, 1.0)), dtype=np.float64)


def _draft(text: LabelledText, finder: Finder) -> Draft:
    spoken = text.hearings[0]
    hearings = text.hearings[:1] if text_draw("ignore_nbest", spoken) < _NO_NBEST else text.hearings
    user = "" if text_draw("nobody", spoken) < _NO_USER else text.user
    pool = finder.find(hearings, text.locale, user, _CANDIDATES)
    return Draft(text, pool if text.healthy else without_own_votes(pool, text), hearings, ())


def without_own_votes(pool: Pool, text: LabelledText) -> Pool:
    """Subtract from a user's habits the turns that a text led to. Each turn of the text may have led to one turn of a goal."""
    led = np.isin(pool.interpretations, list(text.goals))
    own = np.maximum(pool.own_turns - np.where(led, text.turns, 0.0), 0.0)
    own_all = np.maximum(pool.own_all - text.turns, own)
    less = Pool(*pool[:6], own, np.where(own > 0, pool.own_age, 0.0), own_all, pool.private)
    return less.keep(~pool.private | (own > 0))


def _behind(draft: Draft, goal: int) -> float:
    """Return how much less similar the nearest text of a goal is than the nearest text of all, <= 0."""
    other = np.array([text != draft.text.hearings[0] for text in draft.pool.texts], dtype=bool)
    alike = draft.pool.similarity[other]
    if not len(alike):
        return 0.0
    return float(alike[draft.pool.interpretations[other] == goal].max(initial=alike.min()) - alike.max())


_TRIED_COLUMNS = 3  # number of columns, the widest first, along which halving a group is tried
_POSITIVE = 0.5  # a row with a target above this is positive; positive and negative rows are grouped separately


def micro_groups(columns: Floats, users: Ints, k: int) -> list[Ints]:
    """Partition rows into groups of similar rows, each of at least k users.

    A group is halved at the median of its widest column as long as both halves have k users (multidimensional k-anonymity:
    LeFevre, DeWitt and Ramakrishnan 2006, "Mondrian", ICDE). If all rows together have fewer than k users, there is no group.

    Args:
        columns: (n, f), on comparable scales.
        users: (n,) the user of each row.
        k: distinct users of each group.

    Returns:
        The numbers of the rows of each group; every row is in one group, or none is.

    Example:
        >>> rows = np.array([[0.0], [0.1], [5.0], [5.1], [9.0]])
        >>> [group.tolist() for group in micro_groups(rows, np.array([1, 2, 1, 2, 2]), 2)]
        [[2, 3, 4], [0, 1]]
    """
    found: list[Ints] = []
    pending = [np.arange(len(columns))]
    while pending:
        group = pending.pop()
        halves = _halves(group, columns, users, k)
        if halves:
            pending += halves
        elif len(np.unique(users[group])) >= k:
            found.append(group)
    return found


def averaged(columns: Floats, target: Floats, weight: Floats, users: Ints, k: int) -> tuple[Floats, Floats, Floats]:
    """Average rows over micro-groups, positive and negative rows separately.

    Columns are scaled to unit variance before rows are grouped. In a group every user has the same weight: the rows of a user are
    averaged first.

    Args:
        columns: (n, f).
        target: (n,) 0..1.
        weight: (n,) >= 0.
        users: (n,) the user of each row; -1 for a row that already rests on k users, which stays as it is.
        k: distinct users behind each average.

    Returns:
        Columns (m, f) and targets (m,) averaged by weight, and the weight of each average (m,), which is the sum over its users.
    """
    is_shared = users < 0
    scale = columns.std(axis=0) if len(columns) else np.ones(columns.shape[1])
    scaled = columns / np.where(scale > 0, scale, 1.0)
    groups = [np.array([row]) for row in np.flatnonzero(is_shared)]
    for side in (target > _POSITIVE, target <= _POSITIVE):
        rows = np.flatnonzero(side & ~is_shared & (weight > 0))
        groups += [rows[group] for group in micro_groups(scaled[rows], users[rows], k)]
    if not groups:
        return columns[:0], target[:0], weight[:0]
    order, starts = np.concatenate(groups), np.cumsum([0, *(len(group) for group in groups[:-1])])
    group = np.repeat(np.arange(len(groups)), [len(rows) for rows in groups])
    user_weight = weight[order] / _rows_of_user(group, users[order])
    total = np.add.reduceat(user_weight, starts)
    share = user_weight / np.maximum(total, 1e-12)[group]
    return (
        np.add.reduceat(columns[order] * share[:, None], starts, axis=0),
        np.add.reduceat(target[order] * share, starts),
        total,
    )


def _rows_of_user(group: Ints, users: Ints) -> Ints:
    """Return, for each row, how many rows of its group are of its user."""
    _, inverse, counts = np.unique(np.stack([group, users]), axis=1, return_inverse=True, return_counts=True)
    return np.asarray(counts[inverse.reshape(-1)], dtype=np.int64)


def _halves(group: Ints, columns: Floats, users: Ints, k: int) -> list[Ints]:
    """Return two halves of a group with k users each; empty if there are none."""
    if len(group) < 2 * k:
        return []
    values = columns[group]
    for column in np.argsort(values.min(axis=0) - values.max(axis=0), kind="stable")[:_TRIED_COLUMNS].tolist():
        ordered = group[np.argsort(values[:, column], kind="stable")]
        halves = [ordered[: len(ordered) // 2], ordered[len(ordered) // 2 :]]
        if all(len(np.unique(users[half])) >= k for half in halves):
            return halves
    return []
