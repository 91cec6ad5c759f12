"""`Logistic`: a fitted logistic regression, and how it is kept in JSON. `rewriter.detect.logistic` fits it."""

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
        """Return the probability of each row, (m, f) -> (m,)."""
        odds = np.minimum(np.maximum(self.bias + columns @ self.weights, -_SURE), _SURE)  # np.clip takes three times as long
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
