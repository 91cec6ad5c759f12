"""`learn_costs`: the costs of a channel from pairs (said, heard), by Viterbi counting."""

from collections.abc import Sequence

import numpy as np

from rewriter.arrays import Floats
from rewriter.model.channel import Operations

_SMOOTHING = 0.5  # operations of each kind that count before any pair does (Jeffreys)


def learn_costs(
    pairs: Sequence[tuple[str, str]], operations: Operations, *, prior: Floats | None = None, weight: float = 0
) -> Floats:
    """Return the cost of each kind of operation, (kinds,) float64, in nats.

    Viterbi counting (Ristad and Yianilos 1998): the operations on the cheapest way of each pair are counted, and a kind costs

        -log((n_k + weight * p_k + 1/2) / (n + weight + kinds/2)) + log(choices_k),

    where p is what the shipped costs say: a Dirichlet prior of `weight` operations, by which a log adapts shipped costs.

    Args:
        pairs: (said, heard), normalised. Pairs that are equal belong among them, in the share in which they come.
        operations: how operations are counted.
        prior: costs to start from; None for none.
        weight: operations that these are worth.

    Example:
        >>> from rewriter.model.channel import Typed
        >>> costs = learn_costs([("play jazz", "play jaz"), ("stop", "stop"), ("pause it", "pause it")], Typed())
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
