"""Shares and odds with intervals. What is drawn again is a user with all her turns, never a single turn.

The bootstrap over clusters: what is drawn again is a user, or a family of texts, with all turns of it.
"""

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
from scipy.stats import binomtest, bootstrap

LEVEL = 0.95
RESAMPLES = 2000
_CELLS = 4_000_000  # numbers that one batch of resamples may hold

Numbers = npt.NDArray[np.int64] | npt.NDArray[np.float64]
Statistic = Callable[..., npt.NDArray[np.float64]]


def bounds(columns: Sequence[Numbers], statistic: Statistic, *, seed: int = 0) -> tuple[float, float]:
    """Return the 95 % percentile interval of a statistic of sums over clusters (Efron and Tibshirani 1993, chapter 13).

    Args:
        columns: vectors of one number for each cluster, (c,) each; clusters of nothing but zeros say nothing and are left out.
        statistic: sums of the columns -> the figure; takes arrays, and works element by element.
        seed: of the resampling.

    Returns:
        The lower and the upper bound; (inf, -inf) where fewer than two clusters say anything.

    Example:
        >>> bounds([np.array([1, 1, 1]), np.array([2, 2, 2])], lambda hits, trials: hits / trials)
        (0.5, 0.5)
    """
    counted = np.any([column != 0 for column in columns], axis=0)
    if counted.sum() < 2:
        return float("inf"), -float("inf")

    def of_sums(*drawn: Numbers, axis: int) -> npt.NDArray[np.float64]:
        return statistic(*(column.sum(axis=axis) for column in drawn))

    result = bootstrap(
        tuple(column[counted] for column in columns),
        of_sums,
        paired=True,
        vectorized=True,
        method="percentile",
        confidence_level=LEVEL,
        n_resamples=RESAMPLES,
        batch=max(1, _CELLS // int(counted.sum())),
        rng=np.random.default_rng(seed),
    )
    return float(result.confidence_interval.low), float(result.confidence_interval.high)


Counts = npt.NDArray[np.int64]


@dataclass(frozen=True, slots=True)
class Interval:
    """A figure and the bounds of its 95 % interval. `value` is NaN where nothing was observed; `high` may be infinite."""

    value: float
    low: float
    high: float


def share(hits: Counts, trials: Counts, *, seed: int = 0) -> Interval:
    """Return the share of hits among trials, with the wider of two 95 % intervals on each side.

    The one is the percentile bootstrap over users (Efron and Tibshirani 1993, chapter 13), which knows that the turns of one
    user go together; the other is Wilson's score interval over trials (Wilson 1927), which stays honest where few users
    or no failures were seen and every resample looks the same.

    Args:
        hits: hits of each user, (u,).
        trials: trials of each user, (u,), no fewer than the hits.
        seed: of the resampling.

    Returns:
        The share; (NaN, 0, 1) where there were no trials.

    Example:
        >>> share(np.array([3, 2, 5]), np.array([3, 2, 5])).value
        1.0
    """
    value, low, high = _wilson(hits, trials)
    again = _by_user(hits, trials, seed)
    return Interval(value, min(low, again[0]), max(high, again[1]))


def net_share(hits: Counts, trials: Counts, harms: Counts, chances: Counts, *, seed: int = 0) -> Interval:
    """Return (hits - harms) / trials, with the wider of two 95 % intervals on each side, as `share` does.

    In the place of Wilson's interval stands that of a difference of two shares, made of their Wilson intervals (Newcombe
    1998, method 10; Zou and Donner 2008).

    Args:
        hits: hits of each user, (u,).
        trials: trials of each user, (u,), no fewer than the hits.
        harms: harms of each user, (u,).
        chances: turns of each user that could have come to harm, (u,), no fewer than the harms.
        seed: of the resampling.

    Returns:
        The share, which may be negative; (NaN, -inf, 1) where there were no trials.

    Example:
        >>> net_share(np.array([3, 2]), np.array([4, 4]), np.array([1, 0]), np.array([10, 10])).value
        0.5
    """
    n, exposed = int(trials.sum()), int(chances.sum())
    if n == 0:
        return Interval(float("nan"), -float("inf"), 1.0)
    won, won_low, won_high = _wilson(hits, trials)
    lost, lost_low, lost_high = (x * exposed / n for x in _wilson(harms, chances)) if exposed else (0.0, 0.0, 0.0)
    value = int(hits.sum() - harms.sum()) / n
    low = value - math.hypot(won - won_low, lost_high - lost)
    high = value + math.hypot(won_high - won, lost - lost_low)
    again = _by_user(hits - harms, trials, seed)
    return Interval(value, min(low, again[0]), max(high, again[1]))


def odds(share: Interval) -> Interval:
    """Return share / (1 - share) with its bounds: the win/loss ratio, where `share` is that of wins among decided turns.

    Example:
        >>> odds(Interval(0.9, 0.8, 1.0))
        Interval(value=9.0, low=4.0, high=inf)
    """
    return Interval(*(_odds(x) for x in (share.value, share.low, share.high)))


def per_user(users: npt.NDArray[np.int64], mask: npt.NDArray[np.bool_], n: int) -> Counts:
    """Count the turns in `mask` of each of `n` users, (n,); `users` holds a user's number for each turn."""
    return np.bincount(users[mask], minlength=n).astype(np.int64)


def _odds(p: float) -> float:
    # A share comes out of a division, so nine tenths may be a hair off: rounding keeps 0.9 at odds of 9.
    return float("inf") if p >= 1.0 else round(p / (1.0 - p), 9)


def _wilson(hits: Counts, trials: Counts) -> tuple[float, float, float]:
    """Return the share with the bounds of Wilson's interval; (NaN, 0, 1) where there were no trials."""
    k, n = int(hits.sum()), int(trials.sum())
    if n == 0:
        return float("nan"), 0.0, 1.0
    found = binomtest(k, n).proportion_ci(LEVEL, method="wilson")
    return k / n, float(found.low), float(found.high)


def _by_user(hits: Counts, trials: Counts, seed: int) -> tuple[float, float]:
    """Return the percentile bootstrap interval over the users who have anything to say."""
    return bounds((hits, trials), lambda hits, trials: hits / np.maximum(trials, 1), seed=seed)
