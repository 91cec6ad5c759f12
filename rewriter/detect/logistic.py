"""`fit_logistic`: logistic regression with soft labels, a ridge penalty, and known directions of the columns."""

from collections.abc import Sequence

import numpy as np
from scipy.optimize import minimize
from scipy.special import expit

from rewriter.arrays import Floats
from rewriter.model.logistic import Logistic

CALIBRATION_PENALTY = 1e-3
"""Penalty where there are few columns and many rows: only so large that separable labels give finite weights."""
_CONSTANT = 1e-9  # standard deviation, relative to the mean, below which the values of a column differ by rounding only


def fit_logistic(
    columns: Floats,
    target: Floats,
    weight: Floats | None = None,
    *,
    penalty: float,
    signs: Sequence[int] = (),
    pull: float = 0.0,
) -> Logistic:
    """Fit a logistic regression by penalised maximum likelihood.

    Columns are scaled to unit variance for the penalty ``penalty / 2 * |w - pull * sign|^2``, and the weights are scaled back. So
    where rows are few, all columns of known direction count alike (Dawes 1979, "The robust beauty of improper linear models",
    American Psychologist 34). With one column of log-odds this is Platt's calibration (Platt 1999, "Probabilistic outputs for
    support vector machines", Advances in Large Margin Classifiers).

    Args:
        columns: (m, f) float64.
        target: (m,) P of the positive label, 0..1.
        weight: (m,) >= 0; None for 1 each.
        penalty: of the ridge, in the scale of scaled columns.
        signs: (f,) of each column: 1 where its weight may not be negative, -1 where it may not be positive, else 0. Empty for no
            constraint.
        pull: weight that columns with a sign are drawn to, in that direction.

    Example:
        >>> x, y = np.array([[0.0], [1.0], [2.0], [3.0]]), np.array([0.0, 0.0, 1.0, 1.0])
        >>> bool(fit_logistic(x, y, penalty=0.01).weights[0] > 0)
        True
        >>> fit_logistic(x, y, penalty=0.01, signs=[-1]).weights.tolist()
        [0.0]
    """
    weight = np.ones(len(target)) if weight is None else weight
    signs = signs or [0] * columns.shape[1]
    centre, scale = columns.mean(axis=0), columns.std(axis=0)
    scale = np.where(scale > _CONSTANT * (1 + np.abs(centre)), scale, 1.0)
    scaled = (columns - centre) / scale
    drawn = pull * np.array(signs, dtype=np.float64)

    def loss(parameters: Floats) -> tuple[float, Floats]:
        """Return the penalised negative log-likelihood and its gradient."""
        weights, bias = parameters[:-1], parameters[-1]
        odds, distance = bias + scaled @ weights, weights - drawn
        value = weight @ (np.logaddexp(0, odds) - target * odds) + 0.5 * penalty * distance @ distance
        slope = weight * (expit(odds) - target)
        return float(value), np.append(scaled.T @ slope + penalty * distance, slope.sum())

    bounds = [(0.0 if sign > 0 else None, 0.0 if sign < 0 else None) for sign in signs]
    start = np.append(drawn, 0.0)
    found = minimize(loss, start, jac=True, method="L-BFGS-B", bounds=[*bounds, (None, None)], options={"maxiter": 500}).x
    weights = found[:-1] / scale
    return Logistic(weights + 0.0, float(found[-1] - weights @ centre))
