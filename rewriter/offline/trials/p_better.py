"""`p_better`: P(a request succeeds more often rewritten than as spoken), when both share how hard it is.

The two rates X (as spoken) and Y (rewritten) have the bivariate beta distribution of Olkin and Liu, "A bivariate beta
distribution" (Statistics & Probability Letters 62, 2003): with independent U ~ Ga(a), V ~ Ga(b), W ~ Ga(c), X = U/(U + W) and
Y = V/(V + W). The shared W is what is hard about the request for anybody, which is why the pair is not two independent betas.
For a = b = c = 1 both margins are flat. The posterior stands on a grid of rates, exact up to its cells.
"""

import numpy as np
from scipy.special import gammaln

from rewriter.arrays import Floats

_A = _B = _C = 1.0
_EDGES = np.sin(np.linspace(0.0, np.pi / 2, 65)) ** 2  # cells are small where rates like to be: near 0 and near 1
_RATES = (_EDGES[1:] + _EDGES[:-1]) / 2
_WIDTH = np.diff(_EDGES)
_ROWS = 256  # pairs at once


def log_density(x: Floats, y: Floats) -> Floats:
    """Return the log prior density at rates x and y, broadcast: Olkin and Liu (2003), formula 1.4."""
    constant = gammaln(_A + _B + _C) - gammaln(_A) - gammaln(_B) - gammaln(_C)
    up = (_A - 1) * np.log(x) + (_B - 1) * np.log(y) + (_B + _C - 1) * np.log1p(-x) + (_A + _C - 1) * np.log1p(-y)
    return np.asarray(constant + up - (_A + _B + _C) * np.log1p(-x * y), dtype=np.float64)


_PRIOR = log_density(_RATES[:, None], _RATES[None, :]) + np.log(_WIDTH[:, None] * _WIDTH[None, :])
_ABOVE = (_RATES[None, :] > _RATES[:, None]) + 0.5 * np.eye(len(_RATES))


def p_better(left: Floats, left_ok: Floats, tried: Floats, tried_ok: Floats) -> Floats:
    """Return P(Y > X) of each pair, given what was seen of both.

    Args:
        left: (m,) effective number of requests left as spoken.
        left_ok: (m,) how many of them went well, may be fractions.
        tried: (m,) the same, rewritten.
        tried_ok: (m,) the same.

    Example:
        >>> counts = [np.array([0.0, 40.0]), np.array([0.0, 10.0]), np.array([0.0, 40.0]), np.array([0.0, 36.0])]
        >>> p_better(*counts).round(3).tolist()
        [0.5, 1.0]
    """
    found = [
        _some(*(column[at : at + _ROWS] for column in (left, left_ok, tried, tried_ok))) for at in range(0, len(left), _ROWS)
    ]
    return np.concatenate(found) if found else np.zeros(0)


def _some(left: Floats, left_ok: Floats, tried: Floats, tried_ok: Floats) -> Floats:
    spoken, sent = _likelihood(left, left_ok), _likelihood(tried, tried_ok)
    joint = _PRIOR + spoken[:, :, None] + sent[:, None, :]
    mass = np.exp(joint - joint.max(axis=(1, 2), keepdims=True))
    return np.asarray((mass * _ABOVE).sum(axis=(1, 2)) / mass.sum(axis=(1, 2)), dtype=np.float64)


def _likelihood(n: Floats, ok: Floats) -> Floats:
    """Return the log likelihood of every rate of the grid, (m, 64)."""
    return np.asarray(ok[:, None] * np.log(_RATES) + (n - ok)[:, None] * np.log1p(-_RATES), dtype=np.float64)
