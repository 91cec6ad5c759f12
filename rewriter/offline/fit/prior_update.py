"""Updates the shipped prior by a log: weights of a logistic regression (`update_weights`), costs of a channel (`learn_costs`)."""

from collections.abc import Sequence
from typing import NamedTuple

import numpy as np
from scipy.linalg import cho_factor, cho_solve

from rewriter.arrays import Floats
from rewriter.model.channel import Operations

_STEPS = 50  # Newton steps at most; about six are needed
_SMALL = 1e-10  # a Newton decrement below this ends it
_HALVINGS = 30


class WeightBelief(NamedTuple):
    """Weights of a logistic regression with a Gaussian belief about them, the bias last.

    Attributes:
        mean: (f + 1,) float64.
        covariance: (f + 1, f + 1) float64.
    """

    mean: Floats
    covariance: Floats


def update_weights(prior: WeightBelief, columns: Floats, target: Floats, weight: Floats) -> WeightBelief:
    """Return the most probable weights given some examples, and the covariance around them.

    With w ~ N(w0, S0) and P(y = 1 | x) = 1 / (1 + exp(-w·x)), the posterior mode minimises

        (w - w0)' S0^-1 (w - w0) / 2 + sum_i weight_i (log(1 + exp(w·x_i)) - y_i w·x_i),

    which is convex; Newton's method with halved steps finds it. The covariance is the inverse of the second derivative there
    (Laplace's approximation; MacKay 1992, "The evidence framework applied to classification networks", Neural Computation 4).
    Few examples leave the weights near the prior. Many examples overrule it.

    Args:
        prior: the belief before the examples; its covariance is positive definite.
        columns: (m, f), without a column for the bias.
        target: (m,) 0..1.
        weight: (m,) >= 0, examples that each row is worth.

    Raises:
        ValueError: the shapes do not fit, or the covariance is not positive definite.

    Example:
        >>> prior = WeightBelief(np.array([1.0, 0.0]), np.eye(2))
        >>> update_weights(prior, np.zeros((0, 1)), np.zeros(0), np.zeros(0)).mean.tolist()
        [1.0, 0.0]
        >>> x, y = np.array([[1.0], [1.0], [-1.0]]), np.array([0.0, 0.0, 1.0])
        >>> update_weights(prior, x, y, np.ones(3)).mean.round(2).tolist()
        [-0.25, -0.25]
    """
    w0 = np.asarray(prior.mean, dtype=np.float64)
    if columns.shape != (len(target), len(w0) - 1) or len(weight) != len(target):
        raise ValueError(f"{columns.shape} columns for {len(target)} targets and {len(w0) - 1} weights")
    x = np.column_stack([columns, np.ones(len(target))])
    try:
        precision = cho_solve(cho_factor(prior.covariance), np.eye(len(w0)))
    except np.linalg.LinAlgError as error:
        raise ValueError("the covariance of the prior is not positive definite") from error

    def loss(w: Floats) -> float:
        odds, away = x @ w, w - w0
        return float(away @ precision @ away / 2 + weight @ (np.logaddexp(0, odds) - target * odds))

    w = w0.copy()
    for _ in range(_STEPS):
        p = 1 / (1 + np.exp(-np.clip(x @ w, -500, 500)))
        slope = precision @ (w - w0) + x.T @ (weight * (p - target))
        curve = cho_factor(precision + (x.T * (weight * p * (1 - p))) @ x)
        step = cho_solve(curve, slope)
        if slope @ step < _SMALL:
            break
        now = loss(w)
        w = next((trial for k in range(_HALVINGS) if loss(trial := w - step * 0.5**k) <= now), w)
    p = 1 / (1 + np.exp(-np.clip(x @ w, -500, 500)))
    curve = cho_factor(precision + (x.T * (weight * p * (1 - p))) @ x)
    return WeightBelief(w, cho_solve(curve, np.eye(len(w0))))


_SMOOTHING = 0.5  # operations of each kind that count before any pair does (Jeffreys)


def learn_costs(
    pairs: Sequence[tuple[str, str]], operations: Operations, *, prior: Floats | None = None, weight: float = 0
) -> Floats:
    """Return the cost of each kind of operation, (kinds,) float64, in nats.

    Viterbi counting (Ristad and Yianilos 1998): the operations on the cheapest way of each pair are counted, and a kind costs

        -log((n_k + weight * p_k + 1/2) / (n + weight + kinds/2)) + log(choices_k),

    where p is the probability of the kind by the shipped costs. They act as a Dirichlet prior that counts as `weight` operations.

    Args:
        pairs: (said, heard), normalised. They must include pairs of equal texts, in the share in which these occur.
        operations: how operations are counted.
        prior: costs to start from; None for none.
        weight: number of operations that the prior counts for.

    Example:
        >>> from rewriter.locales import pack_of
        >>> from rewriter.model.channel import Typed
        >>> costs = learn_costs([("play jazz", "play jaz"), ("stop", "stop"), ("pause it", "pause it")], Typed(pack_of("en")))
        >>> bool(costs[0] < costs[3] < costs[2])
        True
    """
    counts = np.zeros(len(operations.kinds))
    for said, heard in pairs:
        counts += operations.count(operations.views([heard]), operations.views([said]))[0]
    spread = np.log(operations.choices)
    if prior is not None:
        shares = np.exp(spread - prior)
        counts += weight * shares / shares.sum()
    return np.asarray(spread - np.log((counts + _SMOOTHING) / (counts + _SMOOTHING).sum()), dtype=np.float64)
