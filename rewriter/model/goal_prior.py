"""`log_goal_prior`: how much a user wants a thing, by her own turns and everybody's."""

import numpy as np

from rewriter.arrays import Floats

_PRIOR = 20.0  # turns of her own that weigh as much as what everybody wants (Dirichlet smoothing)
RAREST = 1e-4
"""Share of everybody's goal priors that a wish of nobody but this user is taken for."""


def log_goal_prior(own: Floats, own_all: Floats, goal_prior: Floats) -> Floats:
    """Return log P(this user wants it), of the common shape: her own turns, smoothed towards everybody's goal priors.

    Args:
        own: turns of the user's own that were understood so with success.
        own_all: all of hers.
        goal_prior: share of everybody's goal priors, 0..1.

    Example:
        >>> turns, share = np.array([0.0, 30.0]), np.array([0.5, 0.5])
        >>> np.exp(log_goal_prior(turns, np.full(2, 30.0), share)).tolist()
        [0.2, 0.8]
    """
    return np.asarray(np.log((own + _PRIOR * np.maximum(goal_prior, RAREST)) / (own_all + _PRIOR)), dtype=np.float64)
