"""Sequential tests: evidence against a hypothesis that stays valid however often one looks at it.

An *e-value* is a number >= 0 whose expectation is at most 1 where the hypothesis is true. Products of e-values of successive
observations are again such (an e-process), and by Ville's inequality the probability that one ever reaches 1/alpha is at most
alpha, whenever one looks. An average of e-processes is an e-process, so no single alternative has to be chosen: the tests
average over a grid of alternatives (Robbins's method of mixtures).

- Two arms, drawn with a known probability: Turner, Ly and Grünwald, "Generic E-variables for exact sequential k-sample tests that
  allow for optional stopping" (2024, arXiv 2106.02693).
- Bounded outcomes as bets: Waudby-Smith and Ramdas, "Estimating means of bounded random variables by betting" (2024,
  arXiv 2010.09686).
- A change at an unknown time: Shin, Ramdas and Rinaldo, "E-detectors: a nonparametric framework for sequential change detection"
  (2024, arXiv 2203.03532).

A power v <= 1 of a factor, fixed beforehand, is a factor too (Jensen's inequality). Such a v is a *user weight*.

`RobustAggregation` keeps K adversarial users from deciding a test. The log factors of one user in one group are summed: this is
the user's *contribution*. The K largest contributions to the e-value are left out. Each other one at most doubles the e-value,
unless there are so few users that half of them could then not reach a verdict. Negative contributions count in full.

A sum without its K largest terms is at most the sum without any other K terms. So if at most K users lie, the aggregate is at
most the e-process of the honest users, and the probability that it ever reaches 1/alpha where the hypothesis holds is at most
alpha, whatever the adversaries do. Each further adversary at most doubles that probability. The two limits are a trimmed sum and
a bounded influence (Huber and Ronchetti, Robust Statistics, 2009), applied only upwards, where an e-value can be forged.
"""

from dataclasses import dataclass
from itertools import combinations
from typing import Any

import numpy as np
import numpy.typing as npt
from scipy.special import logsumexp

from rewriter.arrays import Floats, Ints

_DOUBLES = float(np.log(2.0))


@dataclass(frozen=True, slots=True)
class RobustAggregation:
    """The users behind m observations of n groups, and how many of them may be adversarial.

    Attributes:
        user: (m,) number of the user.
        user_weight: (m,) weight of the observation, 0..1, fixed before its outcome was known.
        n_adversarial: (n,) K, the number of adversarial users to withstand in each group.
        verdict: log of the e-value that decides.
    """

    user: Ints
    user_weight: Floats
    n_adversarial: Ints
    verdict: float

    def take(self, rows: npt.NDArray[Any]) -> "RobustAggregation":
        """Return the same for some of the observations."""
        return RobustAggregation(self.user[rows], self.user_weight[rows], self.n_adversarial, self.verdict)

    def trusted(self, group: Ints, against: Floats) -> npt.NDArray[np.bool_]:
        """Mark all observations but those of the K users with the most evidence against their group, (m,).

        Args:
            group: (m,) of each observation.
            against: (m,) evidence of the observation against its group, >= 0.

        Example:
            >>> three = RobustAggregation(np.array([0, 0, 1, 2]), np.ones(4), np.array([1]), 0.0)
            >>> three.trusted(np.zeros(4, dtype=np.int64), np.array([0.5, 0.5, 0.75, 0.0])).tolist()
            [False, False, True, True]
        """
        keys, place = np.unique(np.stack([group, self.user]), axis=1, return_inverse=True)
        of, place = keys[0].astype(np.int64), place.reshape(-1)
        order = np.lexsort((-np.bincount(place, against, len(of)), of))
        rank = np.empty(len(of), dtype=np.int64)
        rank[order] = np.arange(len(of)) - np.searchsorted(of, of)
        return np.asarray((rank >= self.n_adversarial[of])[place], dtype=bool)

    def summed(self, group: Ints, factor: Floats) -> Floats:
        """Return the sum of the contributions by group, (n, a).

        Args:
            group: (m,) of each observation.
            factor: (m, a) log of the factor of each observation, in the e-value of each of the `a` alternatives.

        Example:
            >>> five = RobustAggregation(np.arange(5), np.ones(5), np.array([1]), 0.0)
            >>> said = np.array([[9.0], [0.5], [-1.0], [0.25], [3.0]])
            >>> round(float(five.summed(np.zeros(5, dtype=np.int64), said)[0, 0]), 3)
            0.443
        """
        n, alternatives = len(self.n_adversarial), factor.shape[1]
        keys, place = np.unique(np.stack([group, self.user]), axis=1, return_inverse=True)
        of, place = keys[0].astype(np.int64), place.reshape(-1)
        users = np.bincount(of, minlength=n)
        most = np.maximum(_DOUBLES, 2 * self.verdict / np.maximum(users - self.n_adversarial, 1))[of]
        first = np.searchsorted(of, np.arange(n))
        total = np.empty((n, alternatives))
        for a in range(alternatives):
            sums = np.bincount(place, self.user_weight * factor[:, a], len(of))
            sums = sums[np.lexsort((-sums, of))]
            left_out = (np.arange(len(of)) - first[of] < self.n_adversarial[of]) & (sums > 0)
            total[:, a] = np.bincount(of, np.where(left_out, 0.0, np.minimum(sums, most)), n)
        return total


_GRID = (0.05, 0.2, 0.35, 0.5, 0.65, 0.8, 0.95)
_PAIRS = np.array(list(combinations(_GRID, 2)))  # (lower, higher) rate of success
_KNOWN = 20.0  # earlier trials count for at most so many
_DEPTHS = np.array([0.2, 0.5, 0.8])  # how far a rate is below the level, as a share of the level


def log_e_two_arms(
    group: Ints,
    arm: Ints,
    share: Floats,
    outcome: Floats,
    n: int,
    *,
    better: bool,
    by: RobustAggregation | None = None,
    known: tuple[Floats, Floats] | None = None,
) -> Floats:
    """Return the log e-value, by group, against "arm 1 is no better than arm 0" (or, with `better` false, "no worse").

    One observation with outcome y in arm a, drawn with P(arm 1) = pi, multiplies the e-value of the alternative (q_0, q_1) by::

        y · q_a / q  +  (1 - y) · (1 - q_a) / (1 - q)        q = pi q_1 + (1 - pi) q_0

    Its expectation is 1 + pi (q_1/q - (1-q_1)/(1-q)) (mu_1 - mu_0), linear in the true means, hence at most 1 where mu_1 <= mu_0,
    for outcomes anywhere in [0, 1] and any pi that was fixed beforehand. Where pi is 0 or 1 the factor is 1: nothing is learned.

    Args:
        group: (m,) 0..n-1, which test an observation belongs to.
        arm: (m,) 0 or 1.
        share: (m,) P(arm 1), 0..1.
        outcome: (m,) 0..1.
        n: groups.
        better: which of the two hypotheses.
        by: the users behind the observations. If None, each observation is of a different user, and no user is adversarial.
        known: trials of each arm before the first observation, and the number of these that went well, (n, 2) each. They direct
            the test: half of the weight is given to the alternatives by the likelihood of these trials, half to all equally.

    Returns:
        (n,) float64; 0 for a group without observations.

    Example:
        >>> arm = np.tile([0, 1], 20)
        >>> e = log_e_two_arms(np.zeros(40, dtype=np.int64), arm, np.full(40, 0.5), arm * 1.0, 1, better=True)
        >>> bool(np.exp(e[0]) > 1e6)
        True
    """
    low, high = _PAIRS.T
    one, zero = (high, low) if better else (low, high)
    mixed = share[:, None] * one + (1 - share[:, None]) * zero
    rate = np.where(arm[:, None] == 1, one, zero)
    y = outcome[:, None]
    factor = np.log(y * rate / mixed + (1 - y) * (1 - rate) / (1 - mixed))
    summed = (by or _honest(len(group), n)).summed(group, factor)
    weight = np.full((n, len(_PAIRS)), -np.log(len(_PAIRS)))
    if known is not None:
        weight = np.logaddexp(weight, _likely(*known, np.stack([zero, one]))) - np.log(2)
    return np.asarray(logsumexp(summed + weight, axis=1), dtype=np.float64)


def _likely(trials: Floats, well: Floats, rate: Floats) -> Floats:
    """Return the log of each alternative's share of the likelihood of the earlier trials, (n, alternatives).

    Args:
        trials: (n, 2) of each arm. More than `_KNOWN` count as `_KNOWN`, because success rates change over time.
        well: (n, 2) number of these that went well.
        rate: (2, alternatives) of each arm.
    """
    less = np.minimum(1.0, _KNOWN / np.maximum(trials, 1e-9))
    log = (well * less) @ np.log(rate) + ((trials - well) * less) @ np.log1p(-rate)
    return np.asarray(log - logsumexp(log, axis=1, keepdims=True), dtype=np.float64)


def log_e_drop(group: Ints, day: Ints, outcome: Floats, level: Floats, *, by: RobustAggregation | None = None) -> Floats:
    """Return the log of the e-detector, by group, against "the mean outcome has been at least the level all the time".

    It is the Shiryaev-Roberts sum over the days on which the drop may have begun: 1, 2, 4, 8, … days before the newest day of the
    group. Each term is the product over the observations since then of ``y q/m + (1 - y)(1 - q)/(1 - m)`` for a rate q below the
    level m, mixed over three depths. Without a drop, the sum over all days reaches c after c days on average, or later. This sum
    has only some of those terms, so it does not reach c earlier.

    Args:
        group: (m,) which detector an observation belongs to.
        day: (m,) day of the observation.
        outcome: (m,) 0..1.
        level: (n,) of each group, above 0 and below 1.
        by: the users behind the observations. If None, each observation is of a different user, and no user is adversarial.

    Returns:
        (n,) float64; -inf for a group without observations.
    """
    n = len(level)
    newest = np.full(n, np.iinfo(np.int64).min)
    np.maximum.at(newest, group, day)
    age = newest[group] - day
    m = level[group][:, None]
    q = m * _DEPTHS
    factor = np.log(outcome[:, None] * q / m + (1 - outcome[:, None]) * (1 - q) / (1 - m))
    by = by or _honest(len(group), n)
    total, back = np.full((n, len(_DEPTHS)), -np.inf), 1
    while len(age) and back <= 2 * (age.max() + 1):
        since = np.flatnonzero(age < back)
        total, back = np.logaddexp(total, by.take(since).summed(group[since], factor[since])), 2 * back
    total[newest == np.iinfo(np.int64).min] = -np.inf
    return np.asarray(logsumexp(total, axis=1) - np.log(len(_DEPTHS)), dtype=np.float64)


def _honest(m: int, n: int) -> RobustAggregation:
    return RobustAggregation(np.arange(m), np.ones(m), np.zeros(n, dtype=np.int64), np.inf)
