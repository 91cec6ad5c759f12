"""Shares and odds with intervals. What is drawn again is a user with all her turns, never a single turn."""

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
from scipy.stats import binomtest, bootstrap

Counts = npt.NDArray[np.int64]

LEVEL = 0.95
RESAMPLES = 2000
_CELLS = 4_000_000  # numbers that one batch of resamples may hold


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
        hits: hits of each user, (u,); may be net of something and so below 0.
        trials: trials of each user, (u,), each at least 0.
        seed: of the resampling.

    Returns:
        The share; (NaN, 0, 1) where there were no trials.

    Example:
        >>> share(np.array([3, 2, 5]), np.array([3, 2, 5])).value
        1.0
    """
    n, k = int(trials.sum()), int(hits.sum())
    if n == 0:
        return Interval(float("nan"), 0.0, 1.0)
    wilson = binomtest(min(max(k, 0), n), n).proportion_ci(LEVEL, method="wilson")
    low, high = _by_user(hits, trials, seed)
    return Interval(k / n, min(low, wilson.low), max(high, wilson.high))


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


def _by_user(hits: Counts, trials: Counts, seed: int) -> tuple[float, float]:
    """Return the percentile bootstrap interval over the users who have anything to say."""
    counted = (hits != 0) | (trials != 0)
    hits, trials = hits[counted], trials[counted]
    if len(hits) < 2:
        return float("inf"), -float("inf")
    result = bootstrap(
        (hits, trials),
        _share,
        paired=True,
        vectorized=True,
        method="percentile",
        confidence_level=LEVEL,
        n_resamples=RESAMPLES,
        batch=max(1, _CELLS // len(hits)),
        rng=np.random.default_rng(seed),
    )
    return float(result.confidence_interval.low), float(result.confidence_interval.high)


def _share(hits: Counts, trials: Counts, axis: int) -> npt.NDArray[np.float64]:
    total = trials.sum(axis=axis)
    return np.asarray(hits.sum(axis=axis) / np.maximum(total, 1))
