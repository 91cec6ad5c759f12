"""Shares and odds with intervals. What is drawn again is a user with all her turns, never a single turn."""

import math
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
from scipy.stats import binomtest

from rewriter.evaluate.clusters import LEVEL, bounds

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
