"""`Pool`: the few texts that may have been meant by a request, as columns; `Finder`: whatever finds them."""

from collections.abc import Sequence
from typing import Any, NamedTuple, Protocol

import numpy as np

from rewriter.arrays import Bools, Floats, Ints

MEASURED = 6
"""Candidates that are measured: what was meant is among the first or nowhere, and each takes time."""


class Pool(NamedTuple):
    """Texts that may have been meant, most alike first.

    Attributes:
        texts: m normalised texts that are known to work.
        interpretations: (m,) int64; texts that the assistant understands alike share one number.
        turns: (m,) float64, how often each was sent with success.
        share: (m,) float64, which share of its turns was understood so and went well.
        similarity: (m,) float64, of the best hearing to the text.
        goal_prior: (m,) float64, which share of everybody's goal priors its interpretation is.
        own_turns: (m,) float64, how often this user was understood so with success, by whatever text.
        own_age: (m,) float64, days between the last time of that and the end of the log; 0 where there was none.
        own_all: (m,) float64, how often this user was understood with success at all; the same in all rows.
        private: (m,) bool, whether it is known of this user alone.
    """

    texts: Sequence[str]
    interpretations: Ints
    turns: Floats
    share: Floats
    similarity: Floats
    goal_prior: Floats
    own_turns: Floats
    own_age: Floats
    own_all: Floats
    private: Bools

    def __len__(self) -> int:
        return len(self.texts)

    def keep(self, kept: Bools, k: int) -> "Pool":
        """Return the first k of the rows that are kept, (m,) bool."""
        rows = np.flatnonzero(kept)[:k]
        columns: tuple[Any, ...] = tuple(column[rows] for column in self[1:])
        return Pool([self.texts[i] for i in rows.tolist()], *columns)


class Finder(Protocol):
    """Finds what may have been meant. Safe to use from many threads."""

    def knows(self, text: str, locale: str, user: str = "") -> bool:
        """Whether a text is itself known to work, for everybody or for this user.

        Args:
            text: normalised.
            locale: as spelled in the log.
            user: keyed hash; empty for nobody.
        """

    def find(self, hearings: Sequence[str], locale: str, user: str = "", k: int = 10) -> Pool:
        """Return the k most alike texts of everybody's, and the k most alike of the user's own.

        Args:
            hearings: normalised; the utterance first, then other hearings, best first.
            locale: as spelled in the log; texts of other locales are not looked at.
            user: keyed hash; empty for nobody.
            k: how many of each.
        """
