"""Shares and odds with 95 % intervals. The bootstrap resamples clusters: a user, or a family of texts, with all its turns."""

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
from scipy.stats import binomtest, bootstrap

LEVEL = 0.95
"""Confidence level of every interval."""
RESAMPLES = 2000
"""Number of bootstrap resamples. With more, no bound changes by more than its rounding."""
_CELLS = 4_000_000
"""Numbers in one batch of resamples, which bounds the memory to 32 MB."""

Numbers = npt.NDArray[np.int64] | npt.NDArray[np.float64]
Statistic = Callable[..., npt.NDArray[np.float64]]


def bounds(columns: Sequence[Numbers], statistic: Statistic, *, seed: int = 0) -> tuple[float, float]:
    """Return the 95 % percentile interval of a statistic of sums over clusters (Efron and Tibshirani 1993, chapter 13).

    Args:
        columns: one number for each cluster, (c,) each; clusters with only zeros are left out.
        statistic: sums of the columns -> the figure, element by element on arrays.
        seed: of the resampling.

    Returns:
        The lower and the upper bound; (inf, -inf) with fewer than two clusters.

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
    """A figure and its 95 % interval. `value` is NaN without observations; `high` may be infinite."""

    value: float
    low: float
    high: float


def share(hits: Counts, trials: Counts, *, seed: int = 0) -> Interval:
    """Return the share of hits among trials, with the wider of two 95 % intervals on each side.

    One is the percentile bootstrap over users (Efron and Tibshirani 1993, chapter 13), which accounts for the correlation of the
    turns of one user. The other is the score interval over trials (Wilson 1927), which stays valid with few users or no
    failures, where all resamples are alike.

    Args:
        hits: hits of each user, (u,).
        trials: trials of each user, (u,), no fewer than the hits.
        seed: of the resampling.

    Returns:
        The share; (NaN, 0, 1) without trials.

    Example:
        >>> share(np.array([3, 2, 5]), np.array([3, 2, 5])).value
        1.0
    """
    value, low, high = _wilson(hits, trials)
    again = _by_user(hits, trials, seed)
    return Interval(value, min(low, again[0]), max(high, again[1]))


def net_share(hits: Counts, trials: Counts, harms: Counts, chances: Counts, *, seed: int = 0) -> Interval:
    """Return (hits - harms) / trials, with the wider of two 95 % intervals on each side, as `share` does.

    Instead of Wilson's interval it uses the interval of a difference of two shares made from their Wilson intervals (Newcombe
    1998, method 10; Zou and Donner 2008).

    Args:
        hits: hits of each user, (u,).
        trials: trials of each user, (u,), no fewer than the hits.
        harms: harms of each user, (u,).
        chances: turns of each user that could have been harmed, (u,), no fewer than the harms.
        seed: of the resampling.

    Returns:
        The share, which may be negative; (NaN, -inf, 1) without trials.

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
    # A share is the result of a division, so 0.9 may be off by one ulp; rounding keeps its odds at 9.
    return float("inf") if p >= 1.0 else round(p / (1.0 - p), 9)


def _wilson(hits: Counts, trials: Counts) -> tuple[float, float, float]:
    """Return the share with the bounds of Wilson's interval; (NaN, 0, 1) without trials."""
    k, n = int(hits.sum()), int(trials.sum())
    if n == 0:
        return float("nan"), 0.0, 1.0
    found = binomtest(k, n).proportion_ci(LEVEL, method="wilson")
    return k / n, float(found.low), float(found.high)


def _by_user(hits: Counts, trials: Counts, seed: int) -> tuple[float, float]:
    """Return the percentile bootstrap interval over users."""
    return bounds((hits, trials), lambda hits, trials: hits / np.maximum(trials, 1), seed=seed)
