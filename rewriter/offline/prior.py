"""The empirical-Bayes prior of a rate: what the log as a whole says before a rate's own few observations are looked at."""

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
from scipy.optimize import minimize
from scipy.special import betaln

Floats = npt.NDArray[np.float64]

_SPREAD = 2.0  # standard deviation of the normal prior on the logarithms of a and b


@dataclass(frozen=True, slots=True)
class Beta:
    """A Beta distribution over rates, fitted on `fitted_on` of them."""

    a: float
    b: float
    fitted_on: int

    def after(self, successes: Floats, trials: Floats) -> tuple[Floats, Floats]:
        """Return the two parameters of each rate's posterior, (n,) and (n,)."""
        return self.a + successes, self.b + np.maximum(trials - successes, 0.0)


def fit(successes: Floats, trials: Floats, *, start: tuple[float, float]) -> Beta:
    """Fit a beta-binomial by penalised maximum likelihood.

    A normal prior on log a and log b, centred on `start`, keeps a small log near it; a large one forgets it. Counts may be
    fractions: the likelihood ``B(a + s, b + n - s) / B(a, b)`` is defined for them (Gelman et al., Bayesian Data Analysis,
    3rd ed., section 5.3).

    Args:
        successes: (n,) observed successes.
        trials: (n,) observed trials, at least `successes`.
        start: a and b where there is nothing to fit.

    Example:
        >>> beta = fit(np.array([9.0, 10.0, 8.0] * 50), np.full(150, 10.0), start=(1.0, 1.0))
        >>> bool(0.88 < beta.a / (beta.a + beta.b) < 0.92)
        True
    """
    centre = np.log(np.array(start))

    def loss(theta: Floats) -> float:
        a, b = np.exp(theta)
        likelihood = betaln(a + successes, b + trials - successes) - betaln(a, b)
        return float(0.5 * np.sum(((theta - centre) / _SPREAD) ** 2) - likelihood.sum())

    best = minimize(loss, centre, method="L-BFGS-B", bounds=[(-5, 8)] * 2).x if len(trials) else centre
    return Beta(float(np.exp(best[0])), float(np.exp(best[1])), len(trials))
