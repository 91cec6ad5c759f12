"""`Pool`: the few texts that may have been meant by a request, as columns; `Finder`: whatever finds them."""

from collections.abc import Sequence
from typing import NamedTuple, Protocol

import numpy as np
import numpy.typing as npt

Floats = npt.NDArray[np.float64]
Ints = npt.NDArray[np.int64]
Bools = npt.NDArray[np.bool_]


class Pool(NamedTuple):
    """Texts that may have been meant, most alike first.

    Attributes:
        texts: m normalised texts that are known to work.
        interpretations: (m,) int64; texts that the assistant understands alike share one number.
        turns: (m,) float64, how often each was sent with success.
        share: (m,) float64, which share of its turns was understood so and went well.
        similarity: (m,) float64, of the best hearing to the text.
        own_turns: (m,) float64, how often this user sent it with success.
    """

    texts: Sequence[str]
    interpretations: Ints
    turns: Floats
    share: Floats
    similarity: Floats
    own_turns: Floats

    def __len__(self) -> int:
        return len(self.texts)

    def keep(self, kept: Bools, k: int) -> "Pool":
        """Return the first k of the rows that are kept, (m,) bool."""
        rows = np.flatnonzero(kept)[:k]
        texts = [self.texts[i] for i in rows.tolist()]
        turns, share, similarity, own_turns = (column[rows] for column in self[2:])
        return Pool(texts, self.interpretations[rows], turns, share, similarity, own_turns)


class Finder(Protocol):
    """Finds what may have been meant. Safe to use from many threads."""

    def find(self, hearings: Sequence[str], locale: str, user: str = "", k: int = 10) -> Pool:
        """Return the k most alike texts.

        Args:
            hearings: normalised; the utterance first, then other hearings, best first.
            locale: as spelled in the log; texts of other locales are not looked at.
            user: keyed hash; empty for nobody.
            k: how many.
        """
