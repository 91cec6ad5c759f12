"""`Witnesses`: what users say for and against a hypothesis, so that few of them cannot decide a test by lying.

All that one user says of a group is one *word*, the sum of her log factors, with two limits. The K loudest words for the e-value
are left out; of the others none more than doubles it, unless so few speak that half of them could not reach a verdict then. Words
against it count in full.

A sum less its K largest terms is at most that sum less any other K terms. So if no more than K users lie, whoever they are, what
is left is at most what the honest say, and an e-process of the honest bounds it from above at each moment: the probability that
it ever reaches 1/alpha where the hypothesis holds is at most alpha, whatever the liars do, and however often. Each further liar
at most doubles that probability. The limits are a trimmed sum and a bounded influence (Huber and Ronchetti, Robust Statistics,
2009), on the one side on which an e-value can be forged.
"""

from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt

Floats = npt.NDArray[np.float64]
Ints = npt.NDArray[np.int64]

_DOUBLES = float(np.log(2.0))


@dataclass(frozen=True, slots=True)
class Witnesses:
    """Who made m observations of n groups, and how many of them may lie.

    Attributes:
        user: (m,) number of the user.
        voice: (m,) what the observation counts, 0..1, fixed before its outcome was known.
        liars: (n,) K, so many users of each group may lie.
        verdict: log of the e-value that decides.
    """

    user: Ints
    voice: Floats
    liars: Ints
    verdict: float

    def take(self, rows: npt.NDArray[Any]) -> "Witnesses":
        """Return who made some of the observations."""
        return Witnesses(self.user[rows], self.voice[rows], self.liars, self.verdict)

    def heard(self, group: Ints, against: Floats) -> npt.NDArray[np.bool_]:
        """Mark the observations of all but the K users of each group who have most against it, (m,).

        Args:
            group: (m,) of each observation.
            against: (m,) what it has against the group, >= 0.

        Example:
            >>> three = Witnesses(np.array([0, 0, 1, 2]), np.ones(4), np.array([1]), 0.0)
            >>> three.heard(np.zeros(4, dtype=np.int64), np.array([0.5, 0.5, 0.75, 0.0])).tolist()
            [False, False, True, True]
        """
        keys, place = np.unique(np.stack([group, self.user]), axis=1, return_inverse=True)
        of, place = keys[0].astype(np.int64), place.reshape(-1)
        order = np.lexsort((-np.bincount(place, against, len(of)), of))
        rank = np.empty(len(of), dtype=np.int64)
        rank[order] = np.arange(len(of)) - np.searchsorted(of, of)
        return np.asarray((rank >= self.liars[of])[place], dtype=bool)

    def summed(self, group: Ints, factor: Floats) -> Floats:
        """Return the sum of the words by group, (n, a).

        Args:
            group: (m,) of each observation.
            factor: (m, a) log of what each multiplies the e-value of each of a alternatives by.

        Example:
            >>> five = Witnesses(np.arange(5), np.ones(5), np.array([1]), 0.0)
            >>> said = np.array([[9.0], [0.5], [-1.0], [0.25], [3.0]])
            >>> round(float(five.summed(np.zeros(5, dtype=np.int64), said)[0, 0]), 3)
            0.443
        """
        n, alternatives = len(self.liars), factor.shape[1]
        keys, place = np.unique(np.stack([group, self.user]), axis=1, return_inverse=True)
        of, place = keys[0].astype(np.int64), place.reshape(-1)
        users = np.bincount(of, minlength=n)
        most = np.maximum(_DOUBLES, 2 * self.verdict / np.maximum(users - self.liars, 1))[of]
        first = np.searchsorted(of, np.arange(n))
        total = np.empty((n, alternatives))
        for a in range(alternatives):
            word = np.bincount(place, self.voice * factor[:, a], len(of))
            word = word[np.lexsort((-word, of))]
            loudest = (np.arange(len(of)) - first[of] < self.liars[of]) & (word > 0)
            total[:, a] = np.bincount(of, np.where(loudest, 0.0, np.minimum(word, most)), n)
        return total
