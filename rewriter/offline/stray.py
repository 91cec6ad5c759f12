"""`p_real`: which restatements restate, and which are the next wish of someone who has given up."""

import numpy as np
import numpy.typing as npt

Floats = npt.NDArray[np.float64]

_BINS = 20
_LEAST = 5.0  # expected strays that a bin must hold to say how many there are


def p_real(likeness: Floats, weight: Floats, unlike: Floats) -> Floats:
    """Return P(a restatement means what its source meant) from how alike the two texts are, (n,).

    Restatements are a mixture: a share s is stray, and a stray one is as alike to its source as any wish is to any text. In
    the bin where real ones are rarest, nearly all are stray, which bounds s (mixture proportion estimation: Blanchard, Lee and
    Scott 2010, JMLR 11): with the shares f of all restatements and g of random pairs in each bin::

        s = min f / g,    P(real | bin) = 1 - s g / f, made to rise with likeness

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
    place, elsewhere = np.searchsorted(edges, likeness), np.searchsorted(edges, unlike)
    n = len(edges) + 1
    of_all = np.bincount(place, weight, n) / weight.sum()
    of_stray = np.bincount(elsewhere, minlength=n) / len(unlike)
    sure = of_stray * weight.sum() >= _LEAST
    share = float(np.min(of_all[sure] / of_stray[sure], initial=1.0))
    real = 1 - share * of_stray / np.maximum(of_all, 1e-9)
    return np.asarray(np.maximum.accumulate(np.clip(real, 0.0, 1.0))[place], dtype=np.float64)
