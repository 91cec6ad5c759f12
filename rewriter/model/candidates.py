"""`Pool`: the few texts that may have been meant by a request, as columns; `Finder`: the interface of what finds them.

`log_goal_prior` turns three columns of a pool into the log-probability that this user wants an interpretation.
"""

from collections.abc import Sequence
from typing import Any, NamedTuple, Protocol

import numpy as np

from rewriter.arrays import Bools, Floats, Ints

MEASURED = 6
"""Candidates that are measured. What was meant is among the first few or not there at all, and each costs time."""
RAREST = 1e-4
"""Least goal prior: the share that is assumed for an interpretation that only this user ever wanted."""
_OWN_WEIGHT = 20.0  # turns of a user that weigh as much as everybody's prior (Dirichlet smoothing)


class Pool(NamedTuple):
    """Texts that may have been meant, most similar first, as parallel columns.

    Attributes:
        texts: m normalised texts that are known to work.
        interpretations: (m,) int64; texts that the NLU understands alike share one number.
        turns: (m,) float64, how often each was sent with success.
        share: (m,) float64, the share of its turns that was understood so and succeeded.
        similarity: (m,) float64, of the best hearing to the text, 0..1.
        goal_prior: (m,) float64, share of its interpretation in the turns with success of all users.
        own_turns: (m,) float64, this user's turns with success of the same interpretation, in whatever words.
        own_age: (m,) float64, days from the last of these to the end of the log; 0 if there are none.
        own_all: (m,) float64, all of this user's turns with success; the same in all rows.
        private: (m,) bool, whether only this user has said it.
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
        """Return the first k rows of those that are kept.

        Args:
            kept: (m,) bool.
            k: most rows.
        """
        rows = np.flatnonzero(kept)[:k]
        columns: tuple[Any, ...] = tuple(column[rows] for column in self[1:])
        return Pool([self.texts[i] for i in rows.tolist()], *columns)


class Finder(Protocol):
    """Finds texts that may have been meant. Safe to use from many threads."""

    def knows(self, text: str, locale: str, user: str = "") -> bool:
        """Return whether a text is itself known to work, for everybody or for this user.

        Args:
            text: normalised.
            locale: as spelled in the log.
            user: keyed hash; empty for nobody.
        """

    def find(self, hearings: Sequence[str], locale: str, user: str = "", k: int = 10) -> Pool:
        """Return the k most similar texts of everybody, and the k most similar of the user's own.

        Args:
            hearings: normalised; the utterance first, then other hearings, best first.
            locale: as spelled in the log; texts of other locales are ignored.
            user: keyed hash; empty for nobody.
            k: how many of each kind.
        """


def log_goal_prior(own: Floats, own_all: Floats, goal_prior: Floats) -> Floats:
    """Return log P(this user wants an interpretation), in the common shape of the arguments.

    It is the user's own share of turns, smoothed towards everybody's with a Dirichlet prior of m = 20 turns::

        (own + m max(goal_prior, 1e-4)) / (own_all + m)

    Args:
        own: the user's turns with success that were understood so.
        own_all: all of the user's turns with success.
        goal_prior: share of all turns with success that were understood so, 0..1.

    Example:
        >>> turns, share = np.array([0.0, 30.0]), np.array([0.5, 0.5])
        >>> np.exp(log_goal_prior(turns, np.full(2, 30.0), share)).round(3).tolist()
        [0.2, 0.8]
    """
    p = (own + _OWN_WEIGHT * np.maximum(goal_prior, RAREST)) / (own_all + _OWN_WEIGHT)
    return np.asarray(np.log(p), dtype=np.float64)
