"""`Retriever`: finds the queries that may have been meant by a request, among everybody's and among the user's own.

`Mix` combines the similarities of vectors, spelling and sound into one.

A `Pool` holds the few texts that may have been meant by a request, as columns. `Finder` is the interface that finds them.
`log_goal_prior` turns three columns of a pool into the log-probability that this user wants an interpretation.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from functools import lru_cache, partial
from pathlib import Path
from typing import Any, NamedTuple, Protocol

import numpy as np
import numpy.typing as npt
from rapidfuzz.distance import Indel
from rapidfuzz.process import cdist

from rewriter.arrays import Bools, Floats, Ints
from rewriter.model.encoder import Encoder, Vectors, open_encoder
from rewriter.model.habits import Habit, UserView
from rewriter.model.index import GlobalIndex
from rewriter.similarity import phonetic_keys

MEASURED = 6
"""Number of candidates that are measured. What was meant is among the first few or not there at all, and each takes time."""
RAREST = 1e-4
"""Least goal prior: the share that is assumed for an interpretation that only this user ever wanted."""
_MIXES_CACHED = 16
_SEARCHES_CACHED = 4096  # texts whose nearest rows are kept; about 1 KB each
_OWN_WEIGHT = 20.0  # number of a user's turns that weigh as much as everybody's prior (Dirichlet smoothing)


class Pool(NamedTuple):
    """Texts that may have been meant, most similar first, as parallel columns.

    Attributes:
        texts: m normalised texts that are known to work.
        interpretations: (m,) int64; texts that the NLU understands alike share one number.
        turns: (m,) float64, how often each was sent with success.
        share: (m,) float64, the share of its turns that had this interpretation and succeeded.
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
        return self._take(rows, rows.tolist())

    def without(self, text: str, k: int) -> "Pool":
        """Return the first k rows of other texts than this one.

        Args:
            text: normalised.
            k: most rows.
        """
        rows = [i for i, other in enumerate(self.texts) if other != text][:k]
        return self._take(slice(len(rows)) if rows == list(range(len(rows))) else np.array(rows, dtype=np.int64), rows)

    def _take(self, rows: "slice | Ints", numbers: Sequence[int]) -> "Pool":
        columns: tuple[Any, ...] = tuple(column[rows] for column in self[1:])
        return Pool([self.texts[i] for i in numbers], *columns)


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
        own: the user's successful turns with this interpretation.
        own_all: all successful turns of the user.
        goal_prior: share of the interpretation in all successful turns, 0..1.

    Example:
        >>> turns, share = np.array([0.0, 30.0]), np.array([0.5, 0.5])
        >>> np.exp(log_goal_prior(turns, np.full(2, 30.0), share)).round(3).tolist()
        [0.2, 0.8]
    """
    p = (own + _OWN_WEIGHT * np.maximum(goal_prior, RAREST)) / (own_all + _OWN_WEIGHT)
    return np.asarray(np.log(p), dtype=np.float64)


CHANNELS = ("dense", "letters", "sounds")
"""The three similarities of a hearing and a query: of their vectors, their spelling, their phonetic keys."""


@dataclass(frozen=True, slots=True)
class Mix:
    """Weights of the channels, and the discount of later hearings.

    On recordings of other speakers and other requests the default weights did as well as weights fitted to a log
    (`benchmarks/retrieval.py`). Near the optimum, recall hardly depends on them.

    Attributes:
        dense: weight of the inner product of the vectors.
        letters: weight of the Indel similarity of the texts.
        sounds: weight of the Indel similarity of their phonetic keys.
        later: factor on the similarity for each place that a hearing stands below the first, 0..1.

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
        mixed: Vectors = channels @ _weights(self.dense, self.letters, self.sounds)
        for place in range(1, channels.shape[1]):
            mixed[:, place] *= self.later**place
        return mixed


MIX = Mix()


@lru_cache(maxsize=_MIXES_CACHED)
def _weights(*weights: float) -> Vectors:
    return np.array(weights, dtype=np.float32)


def alike(left: Sequence[str], right: Sequence[str]) -> Vectors:
    """Return the normalised Indel similarity of each of one list to each of another, (n, m) float32 in 0..1."""
    table: Vectors = cdist(left, right, scorer=Indel.normalized_similarity, dtype=np.float32)
    return table


_Mask = npt.NDArray[np.bool_]

_POOLED = 32  # number of rows that are found by vector and then compared in spelling and sound


class Retrieved(NamedTuple):
    """Queries that may have been meant, most similar first, as parallel columns.

    Attributes:
        rows: (m,) int64, as numbered by `UserView`.
        texts: the utterance of each.
        interpretations: (m,) int64, number of its interpretation, as in `Queries`.
        personal: (m,) bool, whether this user has said it with success.
        turns: (m,) int64, how often this user did.
        last_day: (m,) int64, when this user last did, in days since 1970-01-01 UTC; 0 for never.
        hearings: (m,) int64, the most similar hearing, 0 for the first.
        similarity: (m,) float32, the mixed similarity of that hearing.
        channels: (m, 3) float32, the similarity of that hearing in each of `CHANNELS`.
    """

    rows: Ints
    texts: list[str]
    interpretations: Ints
    personal: _Mask
    turns: Ints
    last_day: Ints
    hearings: Ints
    similarity: Vectors
    channels: Vectors


class _Rows(NamedTuple):
    """Rows under consideration, as parallel columns."""

    rows: Ints
    shared: _Mask | None  # found among everybody's; None for all of them
    own: _Mask | None  # None for none of them

    def take(self, places: Ints) -> "_Rows":
        if self.shared is None or self.own is None:
            return _Rows(self.rows[places], None, None)
        return _Rows(self.rows[places], self.shared[places], self.own[places])


class _Near(NamedTuple):
    """The rows that are most similar to a request, most similar first."""

    pooled: _Rows
    texts: list[str]
    channels: Vectors  # (m, hearings, 3)
    mixed: Vectors  # (m, hearings)


class Retriever:
    """The encoder, books and index of one artefact version. Safe to use from many threads.

    Vectors find a small pool among millions of rows. Spelling and sound, which are too slow for millions, are compared only
    within the pool.

    Args:
        encoder: the encoder that made the vectors of the books.
        user_view: the global book and the habits.
        index: over the global book.
        mix: weights of the channels.
    """

    __slots__ = ("_found", "_mix", "encoder", "index", "user_view")

    def __init__(self, encoder: Encoder, user_view: UserView, index: GlobalIndex, mix: Mix = MIX) -> None:
        self.user_view = user_view
        self.encoder = encoder
        self.index = index
        self._mix = mix
        self._found = lru_cache(maxsize=_SEARCHES_CACHED)(partial(_search, encoder, index))

    @classmethod
    def open(cls, folder: Path) -> "Retriever":
        """Open ``encoder``, ``book``, ``habits`` and ``index`` of an artefact.

        Raises:
            ArtefactError: a file is missing or unreadable.
        """
        return cls(open_encoder(folder / "encoder"), UserView.open(folder), GlobalIndex.open(folder / "index"))

    @property
    def locales(self) -> frozenset[str]:
        """The locales of the global book."""
        return frozenset(self.user_view.book.locales)

    def knows(self, text: str, locale: str, user: str = "") -> bool:
        """Return whether a text is itself a query; see `Finder`."""
        return self.user_view.holds(text, locale, user)

    def find(self, hearings: Sequence[str], locale: str, user: str = "", k: int = 10) -> Pool:
        """Return what `retrieve` finds as a pool of candidates; see `Finder`."""
        own, view = self.user_view.own(user, locale), self.user_view
        found = self._nearest(hearings, locale, own, k, _POOLED)
        known = view.known(found.pooled.rows)
        success, mixed = known.success / 1000, found.mixed
        similarity = mixed[:, 0] if len(hearings) == 1 else mixed.max(axis=1)
        none = np.zeros(len(found.texts))
        own_turns, own_age = self._wanted(known.interpretations, own) if len(own.rows) else (none, none)
        return Pool(
            texts=found.texts,
            interpretations=known.interpretations,
            turns=success,
            share=success / (known.turns + 1),
            similarity=similarity.astype(np.float64),
            goal_prior=view.book.goal_prior(known.interpretations),
            own_turns=own_turns,
            own_age=own_age,
            own_all=none + own.turns.sum() if len(own.rows) else none,
            private=known.private,
        )

    def _wanted(self, interpretations: Ints, own: Habit) -> tuple[Floats, Floats]:
        """Return, for each interpretation, the user's turns with success that were understood so, and the days since the last."""
        same = interpretations[:, None] == self.user_view.interpretations(own.rows)
        age = self.user_view.newest - np.where(same, own.last_day, 0).max(axis=1)
        return (same @ own.turns).astype(np.float64), np.where(same.any(axis=1), age, 0).astype(np.float64)

    def retrieve(self, hearings: Sequence[str], locale: str, user: str = "", *, k: int = 10, pool: int = _POOLED) -> Retrieved:
        """Return the k queries of everybody, and the k of the user's own, that are most similar to any of the hearings.

        Args:
            hearings: normalised; the utterance first, then other hearings, best first.
            locale: as spelled in the log; queries of other locales are ignored.
            user: keyed hash; empty for nobody.
            k: how many of each kind.
            pool: how many of each kind are compared in every channel, at least.
        """
        own = self.user_view.own(user, locale)
        found = self._nearest(hearings, locale, own, k, pool)
        chosen, hearing = found.pooled, found.mixed.argmax(axis=1)
        places = np.arange(len(found.texts))
        turns, last_day = _of_one(own, chosen)
        return Retrieved(
            rows=chosen.rows,
            texts=found.texts,
            interpretations=self.user_view.known(chosen.rows).interpretations,
            personal=np.zeros(len(found.texts), dtype=bool) if chosen.own is None else chosen.own,
            turns=turns,
            last_day=last_day,
            hearings=hearing,
            similarity=found.mixed[places, hearing],
            channels=found.channels[places, hearing],
        )

    def nearest_locale(self, text: str, locales: Sequence[str], user: str = "") -> tuple[float, str]:
        """Return the similarity of the most similar query, 0..1, and its locale: in which language a text probably is.

        Args:
            text: normalised.
            locales: in which to look, preferred first; at least one.
            user: keyed hash, whose own texts are looked at, too; empty for nobody.
        """
        found = ((self.retrieve([text], locale, user, k=1).similarity, locale) for locale in locales)
        best = [(float(similarity[0]) if len(similarity) else 0.0, locale) for similarity, locale in found]
        return max(best, key=lambda each: each[0])

    def _nearest(self, hearings: Sequence[str], locale: str, own: Habit, k: int, pool: int) -> _Near:
        view = self.user_view
        queries, found = self._found(tuple(hearings), locale, pool)
        pooled = _pooled(found, own.rows)
        sendable = view.sendable(pooled.rows)
        if sendable is not None:
            pooled = pooled.take(np.flatnonzero(sendable))
        dense = view.vectors(pooled.rows) @ queries.T
        if len(pooled.rows) > 2 * pool:
            kept = np.sort(_foremost(pooled, dense.max(axis=1), pool))
            pooled, dense = pooled.take(kept), dense[kept]
        texts = view.texts(pooled.rows)
        channels = np.empty((len(texts), len(hearings), 3), dtype=np.float32)
        channels[:, :, 0] = dense
        channels[:, :, 1] = alike(hearings, texts).T
        channels[:, :, 2] = alike(phonetic_keys(hearings, locale), view.sounds(pooled.rows)).T
        mixed = self._mix.of(channels)
        best = _foremost(pooled, mixed[:, 0] if len(hearings) == 1 else mixed.max(axis=1), k)
        return _Near(pooled.take(best), [texts[i] for i in best.tolist()], channels[best], mixed[best])


def _search(encoder: Encoder, index: GlobalIndex, hearings: Sequence[str], locale: str, pool: int) -> tuple[Vectors, Ints]:
    """Return the vectors of some hearings, and the rows nearest to each."""
    queries = encoder.encode(hearings)
    return queries, index.search(queries, locale, pool)


def _pooled(found: Ints, own: Ints) -> _Rows:
    """Join what was found for all hearings with the user's own rows, each row once, ascending."""
    rows = np.sort(found[0]) if len(found) == 1 else _distinct(found.ravel())
    if len(rows) and rows[0] < 0:
        rows = rows[rows.searchsorted(0) :]
    if not len(own):
        return _Rows(rows, None, None)
    joined = _distinct(np.concatenate((rows, own)))
    shared, mine = np.zeros((2, len(joined)), dtype=bool)
    shared[joined.searchsorted(rows)] = True
    mine[joined.searchsorted(own)] = True
    return _Rows(joined, shared, mine)


def _distinct(rows: Ints) -> Ints:
    """Return what `numpy.unique` does; for short arrays in a third of the time."""
    rows = np.sort(rows)
    first = np.ones(len(rows), dtype=bool)
    np.not_equal(rows[1:], rows[:-1], out=first[1:])
    return rows[first]


def _of_one(own: Habit, chosen: _Rows) -> tuple[Ints, Ints]:
    """Return how often the user said each of the chosen rows, and on which day last; 0 if never."""
    turns, last_day = np.zeros((2, len(chosen.rows)), dtype=np.int64)
    if chosen.own is not None:
        place = own.rows.searchsorted(chosen.rows[chosen.own])
        turns[chosen.own], last_day[chosen.own] = own.turns[place], own.last_day[place]
    return turns, last_day


def _foremost(pooled: _Rows, similarity: Vectors, k: int) -> Ints:
    """Return the places of the k most similar rows of everybody and of the k most similar of the user, most similar first."""
    order: Ints = (-similarity).argsort(kind="stable")
    if pooled.shared is None or pooled.own is None:
        return order[:k]
    shared, own = pooled.shared[order], pooled.own[order]
    foremost: Ints = order[(shared & (shared.cumsum() <= k)) | (own & (own.cumsum() <= k))]
    return foremost
