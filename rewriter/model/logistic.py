"""`Logistic`: a fitted logistic regression, and how it is kept in JSON.

`fit_logistic` fits one, with soft labels, a ridge penalty, and known directions of the columns. Only it needs scipy.
"""

import math
from collections.abc import Sequence
from dataclasses import dataclass
from operator import mul

import numpy as np

from rewriter.arrays import Floats

_SURE = 30.0  # log-odds are clipped to +-30: beyond, P is 0 or 1 within 1e-13, and exp could overflow


@dataclass(frozen=True, slots=True)
class Logistic:
    """P = 1 / (1 + exp(-(bias + x @ weights))).

    Attributes:
        weights: (f,) float64, log-odds per unit of each column, unscaled.
        bias: the log-odds if all columns are 0.

    Example:
        >>> Logistic(np.array([1.0, -1.0]), 0.0).p(np.array([[2.0, 2.0]])).tolist()
        [0.5]
    """

    weights: Floats
    bias: float

    def p(self, columns: Floats) -> Floats:
        """Return the probability of each row, (m, f) -> (m,). It does not depend on the other rows, to the last digit."""
        odds = np.minimum(
            np.maximum(self.bias + np.vecdot(columns, self.weights), -_SURE), _SURE
        )  # np.clip takes three times as long
        return np.asarray(1 / (1 + np.exp(-odds)), dtype=np.float64)

    def p_of(self, row: Sequence[float]) -> float:
        """Return the probability of one row of f numbers. For one row this is several times faster than `p`.

        Example:
            >>> Logistic(np.array([1.0, -1.0]), 0.0).p_of([2.0, 2.0])
            0.5
        """
        odds = self.bias + sum(map(mul, row, self.weights.tolist()))
        return 1 / (1 + math.exp(-min(max(odds, -_SURE), _SURE)))

    def to_dict(self) -> dict[str, object]:
        """Return weights and bias as JSON types."""
        return {"weights": self.weights.tolist(), "bias": self.bias}

    @classmethod
    def from_dict(cls, data: dict[str, object], columns: int) -> "Logistic":
        """Read what `to_dict` returned.

        Args:
            data: with ``weights`` and ``bias``.
            columns: how many weights there must be.

        Raises:
            KeyError: one of the two is missing.
            ValueError: there is another number of weights.
        """
        weights = np.asarray(data["weights"], dtype=np.float64)
        if weights.shape != (columns,):
            raise ValueError(f"{weights.shape} weights for {columns} columns")
        return cls(weights, float(str(data["bias"])))


CALIBRATION_PENALTY = 1e-3
"""Penalty for few columns and many rows. It is just large enough for separable labels to give finite weights."""
_CONSTANT = 1e-9  # a column with a smaller standard deviation, relative to its mean, is constant up to rounding


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
    with few rows, all columns of known direction have equal weights (Dawes 1979, "The robust beauty of improper linear models",
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
    from scipy.optimize import minimize  # noqa: PLC0415 - only learning needs it; serving must start quickly
    from scipy.special import expit  # noqa: PLC0415

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
