"""`Mix`: how the channels are weighed into one similarity."""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from rapidfuzz.distance import Indel
from rapidfuzz.process import cdist

from rewriter.model.encoder import Vectors

CHANNELS = ("dense", "letters", "sounds")
"""What a hearing and a query are compared by: their vectors, their spelling, their phonetic keys."""


@dataclass(frozen=True, slots=True)
class Mix:
    """Weights of the channels, and what a later hearing is worth.

    The weights that come with it did as well on recordings of other speakers and other requests as any that were fitted to
    a log (`benchmarks/retrieval.py`): near the best the similarity hardly depends on them.

    Attributes:
        dense: weight of the inner product of the vectors.
        letters: weight of the Indel similarity of the texts.
        sounds: weight of the Indel similarity of their phonetic keys.
        later: what a similarity is multiplied with for each place its hearing stands below the first.

    Example:
        >>> mix = Mix(dense=0.5, letters=0.5, sounds=0.0, later=0.5)
        >>> mix.of(np.array([[[0.75, 0.25, 0.0], [0.5, 0.5, 0.0]]], dtype=np.float32)).tolist()
        [[0.5, 0.25]]
    """

    dense: float = 0.3
    letters: float = 0.5
    sounds: float = 0.2
    later: float = 0.97

    def of(self, channels: Vectors) -> Vectors:
        """Weigh similarities by channel into one, (m, hearings) float32.

        Args:
            channels: (m, hearings, 3), in the order of `CHANNELS`.
        """
        mixed: Vectors = channels @ np.array((self.dense, self.letters, self.sounds), dtype=np.float32)
        for place in range(1, channels.shape[1]):
            mixed[:, place] *= self.later**place
        return mixed


MIX = Mix()


def alike(left: Sequence[str], right: Sequence[str]) -> Vectors:
    """Return the normalised Indel similarity of each of one list to each of another, (n, m) float32 in 0..1."""
    table: Vectors = cdist(left, right, scorer=Indel.normalized_similarity, dtype=np.float32)
    return table
