"""Fitting a `Logistic` whose columns may only push the way that makes sense."""

from collections.abc import Sequence

import numpy as np
from scipy.optimize import minimize

from rewriter.arrays import Floats
from rewriter.model.logistic import Logistic

_PENALTY = 100.0  # the rows of a log are many tellings of few goals, and weigh less than as many strangers would
_PULL = 0.1  # weight of a column whose direction is known, before any row speaks
_STILL = 1e-9  # relative width of a column below which its values differ by rounding only


def fit(
    columns: Floats, target: Floats, weight: Floats, signs: Sequence[int], *, penalty: float = _PENALTY, pull: float = _PULL
) -> Logistic:
    """Fit a logistic regression by penalised maximum likelihood.

    Columns are scaled to unit variance for the ridge penalty ``penalty / 2 · |w - pull · sign|²`` and for the bounds, and the
    weights are scaled back. So where rows are few, what is known to be good counts alike in all columns (Dawes 1979, "The robust
    beauty of improper linear models", American Psychologist 34). Targets may lie between 0 and 1: a row is then both, in these
    shares.

    Args:
        columns: (m, f).
        target: (m,) 0..1.
        weight: (m,) >= 0.
        signs: of each column, 1 where its weight may not be negative, -1 where it may not be positive, else 0.
        penalty: of the ridge.
        pull: what the weights of columns with a sign are drawn to, in that direction.

    Example:
        >>> x = np.array([[0.0], [1.0], [2.0], [3.0]])
        >>> up = fit(x, np.array([0.0, 0.0, 1.0, 1.0]), np.ones(4), [1], penalty=0.01)
        >>> bool(up.weights[0] > 0), fit(x, np.array([0.0, 0.0, 1.0, 1.0]), np.ones(4), [-1], pull=0).weights.tolist()
        (True, [0.0])
    """
    centre, scale = columns.mean(axis=0), columns.std(axis=0)
    scale = np.where(scale > _STILL * (1 + np.abs(centre)), scale, 1.0)
    scaled = (columns - centre) / scale

    drawn = pull * np.array(signs, dtype=np.float64)

    def loss(parameters: Floats) -> tuple[float, Floats]:
        weights, bias = parameters[:-1], parameters[-1]
        odds = bias + scaled @ weights
        strayed = weights - drawn
        surprise = weight @ (np.logaddexp(0, odds) - target * odds)
        slope = weight * (1 / (1 + np.exp(-np.clip(odds, -30, 30))) - target)
        return surprise + 0.5 * penalty * strayed @ strayed, np.append(scaled.T @ slope + penalty * strayed, slope.sum())

    bounds = [(0.0 if sign > 0 else None, 0.0 if sign < 0 else None) for sign in signs]
    start = np.append(drawn, 0.0)
    found = minimize(loss, start, jac=True, method="L-BFGS-B", bounds=[*bounds, (None, None)], options={"maxiter": 500}).x
    weights = found[:-1] / scale
    return Logistic(weights + 0.0, float(found[-1] - weights @ centre))
