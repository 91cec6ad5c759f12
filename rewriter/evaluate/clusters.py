"""The bootstrap over clusters: what is drawn again is a user, or a family of texts, with all turns of it."""

from collections.abc import Callable, Sequence

import numpy as np
import numpy.typing as npt
from scipy.stats import bootstrap

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
