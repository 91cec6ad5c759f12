"""`p_real`: which restatements restate, and which are the next wish of someone who has given up."""

import numpy as np
import numpy.typing as npt
from scipy.optimize import isotonic_regression

Floats = npt.NDArray[np.float64]

_BINS = 20
_TOLD = 0.3  # share of the random pairs that a threshold must let through, so that no handful decides


def p_real(likeness: Floats, weight: Floats, unlike: Floats) -> Floats:
    """Return P(a restatement means what its source meant) from how alike the two texts are, (n,).

    Restatements are a mixture: a share s is stray, and a stray one is as alike to its source as any wish is to any text. Where
    real ones are rare, nearly all are stray, which bounds s (mixture proportion estimation: Blanchard, Lee and Scott 2010,
    JMLR 11): with the shares F of all restatements and G of random pairs that are no more alike than t, and the shares f and g
    in a bin::

        s = min over t of F(t) / G(t),    P(real | bin) = 1 - s g / f, made to rise with likeness (isotonic regression)

    Args:
        likeness: (n,) of each restatement, in any unit that rises.
        weight: (n,) > 0, how often each happened.
        unlike: (m,) the same measure of random pairs of sources and wishes.

    Example:
        >>> rng = np.random.default_rng(0)
        >>> real, stray = rng.normal(5, 1, 900), rng.normal(0, 1, 100)
        >>> p = p_real(np.append(real, stray), np.ones(1000), rng.normal(0, 1, 5000))
        >>> bool(p[:900].mean() > 0.97), bool(p[900:].mean() < 0.2)
        (True, True)
    """
    if not len(likeness) or not len(unlike):
        return np.ones(len(likeness))
    edges = np.unique(np.quantile(np.concatenate([likeness, unlike]), np.linspace(0, 1, _BINS + 1)[1:-1]))
    n = len(edges) + 1
    place = np.searchsorted(edges, likeness)
    of_all = np.bincount(place, weight, n) / weight.sum()
    of_stray = np.bincount(np.searchsorted(edges, unlike), minlength=n) / len(unlike)
    below = np.cumsum(of_stray)
    told = below >= _TOLD
    share = float(np.min(np.cumsum(of_all)[told] / below[told], initial=1.0))
    real = np.clip(1 - share * of_stray / np.maximum(of_all, 1e-9), 0.0, 1.0)
    return np.asarray(isotonic_regression(real, weights=np.maximum(of_all, 1e-9)).x[place], dtype=np.float64)
