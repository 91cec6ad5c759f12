"""`wanted`: how much a user wants a thing, by her own turns and everybody's."""

import numpy as np

from rewriter.arrays import Floats

_PRIOR = 20.0  # turns of her own that weigh as much as what everybody wants (Dirichlet smoothing)
RAREST = 1e-4
"""Share of everybody's wishes that a wish of nobody but this user is taken for."""


def wanted(own: Floats, own_all: Floats, wished: Floats) -> Floats:
    """Return log P(this user wants it), of the common shape: her own turns, smoothed towards everybody's wishes.

    Args:
        own: turns of the user's own that were understood so with success.
        own_all: all of hers.
        wished: share of everybody's wishes, 0..1.

    Example:
        >>> turns, share = np.array([0.0, 30.0]), np.array([0.5, 0.5])
        >>> np.exp(wanted(turns, np.full(2, 30.0), share)).tolist()
        [0.2, 0.8]
    """
    return np.asarray(np.log((own + _PRIOR * np.maximum(wished, RAREST)) / (own_all + _PRIOR)), dtype=np.float64)
