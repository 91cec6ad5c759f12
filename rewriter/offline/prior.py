"""Empirical-Bayes priors: what the log as a whole says about a rate before its own few observations are looked at."""

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
from scipy.optimize import minimize
from scipy.special import betaln, expit

Floats = npt.NDArray[np.float64]


@dataclass(frozen=True, slots=True)
class BetaRegression:
    """Beta prior of a rate, with a mean that depends on covariates.

    Attributes:
        weights: (1 + d,) float64, intercept first; the mean is ``expit(weights @ (1, x))``.
        strength: the prior's weight in observations (the sum of its two parameters).
        fitted_on: number of rates that it was fitted on.
    """

    weights: Floats
    strength: float
    fitted_on: int

    def mean(self, x: Floats) -> Floats:
        """Return the prior mean of each row of `x`, (n, d) -> (n,)."""
        return np.asarray(expit(_with_intercept(x) @ self.weights), dtype=np.float64)


def fit(successes: Floats, trials: Floats, x: Floats, *, start: Floats, strength: float, spread: float = 2.0) -> BetaRegression:
    """Fit a beta-binomial regression by penalised maximum likelihood.

    The penalty is a normal prior on the weights and on the logarithm of the strength, centred on the values given, so that a
    small log keeps the defaults and a large one forgets them. Counts may be fractions: the beta-binomial likelihood
    ``B(a + s, b + n - s) / B(a, b)`` is defined for them (Gelman et al., Bayesian Data Analysis, 3rd ed., section 5.3).

    Args:
        successes: (n,) observed successes, may be fractions.
        trials: (n,) observed trials, at least `successes`.
        x: (n, d) covariates.
        start: (1 + d,) centre of the weights, intercept first.
        strength: centre of the strength.
        spread: standard deviation of the normal priors.

    Example:
        >>> s, n = np.array([9.0, 10.0, 8.0] * 50), np.full(150, 10.0)
        >>> prior = fit(s, n, np.zeros((150, 0)), start=np.zeros(1), strength=2.0)
        >>> bool(0.88 < prior.mean(np.zeros((1, 0)))[0] < 0.92)
        True
    """
    rows = _with_intercept(x)
    centre = np.append(start, np.log(strength))

    def loss(theta: Floats) -> float:
        mean = np.clip(expit(rows @ theta[:-1]), 1e-4, 1 - 1e-4)
        total = np.exp(np.clip(theta[-1], -5.0, 8.0))
        a, b = mean * total, (1 - mean) * total
        likelihood = betaln(a + successes, b + trials - successes) - betaln(a, b)
        return float(-likelihood.sum() + 0.5 * np.sum(((theta - centre) / spread) ** 2))

    best = minimize(loss, centre, method="L-BFGS-B").x if len(trials) else centre
    return BetaRegression(np.asarray(best[:-1], dtype=np.float64), float(np.exp(np.clip(best[-1], -5.0, 8.0))), len(trials))


def _with_intercept(x: Floats) -> Floats:
    return np.hstack([np.ones((len(x), 1)), x])
