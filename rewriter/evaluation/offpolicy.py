"""Off-policy estimates: the value of a release on a log that another release answered, from the arms that were drawn.

Let y be the outcome of a request, p the probability with which its action was drawn, pi the probability with which the release
would take the same action, w = pi / p, and q(a) the expected outcome of action a::

    IPS    mean of w y                                     Horvitz and Thompson 1952
    SNIPS  sum of w y / sum of w                           Swaminathan and Joachims 2015
    DR     mean of sum_a pi(a) q(a) + w (y - q(done))      Dudik, Langford and Li 2011

All three are unbiased if the release takes no action that could not have been drawn. Other actions are *unsupported*.
"""

import math
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Final, Literal

import numpy as np

from rewriter.arrays import Bools, Floats, Ints
from rewriter.evaluation.intervals import Interval, bounds

Method = Literal["IPS", "SNIPS", "DR"]
METHODS: Final[tuple[Method, ...]] = ("IPS", "SNIPS", "DR")

MAX_UNSUPPORTED = 0.05
"""Above this share of unsupported requests a release is not estimated."""
_FOLDS = 5
"""Folds of users for the expected outcomes of DR."""
_PRIOR = 2.0
"""Weight, in requests, of the overall mean in the expected outcome of a text and action."""


@dataclass(frozen=True, slots=True, eq=False)
class Logged:
    """Actions and outcomes of n requests; every vector is (n,).

    Attributes:
        cluster: number of the user, 0..c-1.
        source: number of the text in its locale, 0..s-1.
        rewritten: whether the request was rewritten.
        p: probability with which the action was drawn; 1 without a draw.
        y: outcome, 0..1.
    """

    cluster: Ints
    source: Ints
    rewritten: Bools
    p: Floats
    y: Floats


@dataclass(frozen=True, slots=True, eq=False)
class Release:
    """What a release would do with the same n requests; every vector is (n,).

    Attributes:
        share: probability with which it rewrites the request, 0..1.
        supported: whether all that it may do could have been drawn.
    """

    share: Floats
    supported: Bools

    @property
    def unsupported(self) -> float:
        """The share of requests that it answers in a way that was never drawn."""
        return float(1.0 - self.supported.mean())


def estimates(logged: Logged, release: Release, *, seed: int = 0) -> dict[Method, Interval]:
    """Return the share of requests that would have ended well, by method, with 95 % bootstrap intervals by user.

    Requests that are not supported are left out.

    Args:
        logged: n requests.
        release: what it would have done with them.
        seed: of the bootstrap, and of the folds of DR.
    """
    kept = release.supported
    parts = _terms(logged, release, kept, seed)
    return {name: _ratio(_sums(logged.cluster[kept], *parts[name]), seed) for name in METHODS}


def differences(logged: Logged, before: Release, after: Release, *, seed: int = 0) -> dict[Method, Interval]:
    """Return how much more requests end well with one release than with another, by method, on what both support.

    The two are estimated from the same requests, so that what they do alike cancels out.

    Args:
        logged: n requests.
        before: the one.
        after: the other.
        seed: of the bootstrap, and of the folds of DR.
    """
    kept = before.supported & after.supported
    one, two = (_terms(logged, release, kept, seed) for release in (before, after))
    return {name: _difference(_sums(logged.cluster[kept], *one[name], *two[name]), seed) for name in METHODS}


def _terms(logged: Logged, release: Release, kept: Bools, seed: int) -> Mapping[Method, tuple[Floats, Floats]]:
    """Return numerator and denominator of each kept request, by method."""
    y, share, done = logged.y[kept], release.share[kept], logged.rewritten[kept]
    w = np.where(done, share, 1.0 - share) / logged.p[kept]
    leave, rewrite = _worth(logged, kept, seed)
    expected = share * rewrite + (1.0 - share) * leave
    doubly = expected + w * (y - np.where(done, rewrite, leave))
    one = np.ones(len(y))
    return {"IPS": (w * y, one), "SNIPS": (w * y, w), "DR": (doubly, one)}


def _worth(logged: Logged, kept: Bools, seed: int) -> tuple[Floats, Floats]:
    """Return the expected outcome of leaving alone and of rewriting each kept request, from the requests of other users.

    It is the mean of the same source and action, shrunk to the mean of all sources. All requests of a user are in one fold, so
    that no request is estimated from itself.
    """
    fold = np.random.default_rng(seed).integers(_FOLDS, size=int(logged.cluster.max(initial=-1)) + 1)[logged.cluster]
    n = int(logged.source.max(initial=-1)) + 1
    worth = np.zeros((2, len(logged.y)))
    for action in (0, 1):
        for part in range(_FOLDS):
            others = (logged.rewritten == action) & (fold != part)
            seen = np.bincount(logged.source[others], minlength=n)
            good = np.bincount(logged.source[others], weights=logged.y[others], minlength=n)
            mean = good.sum() / max(1, seen.sum())
            here = fold == part
            worth[action, here] = ((good + _PRIOR * mean) / (seen + _PRIOR))[logged.source[here]]
    return worth[0, kept], worth[1, kept]


def _sums(cluster: Ints, *columns: Floats) -> list[Floats]:
    """Return the sums of each column by cluster."""
    n = int(cluster.max(initial=-1)) + 1
    return [np.bincount(cluster, weights=column, minlength=n).astype(np.float64) for column in columns]


def _ratio(columns: list[Floats], seed: int) -> Interval:
    up, down = (float(column.sum()) for column in columns)
    return Interval(up / down if down else math.nan, *bounds(columns, _over, seed=seed))


def _difference(columns: list[Floats], seed: int) -> Interval:
    def more(a: Floats, b: Floats, c: Floats, d: Floats) -> Floats:
        return _over(c, d) - _over(a, b)

    a, b, c, d = (float(column.sum()) for column in columns)
    return Interval(c / d - a / b if b and d else math.nan, *bounds(columns, more, seed=seed))


def _over(up: Floats, down: Floats) -> Floats:
    """Return up / down; 0 in a resample without any action of the release."""
    return np.asarray(np.divide(up, down, out=np.zeros_like(down), where=down > 0), dtype=np.float64)
