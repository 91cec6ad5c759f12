"""`Retriever`: finds the queries that may have been meant by a request, among everybody's and among the user's own.

`Mix` combines the similarities of vectors, spelling and sound into one.

A `Pool` holds the few texts that may have been meant by a request, as columns. `Finder` is the interface that finds them.
`log_goal_prior` turns three columns of a pool into the log-probability that this user wants an interpretation.
"""

import itertools
from collections.abc import Sequence
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path
from typing import Any, NamedTuple, Protocol

import numpy as np
import numpy.typing as npt
from rapidfuzz.distance import Indel
from rapidfuzz.process import cdist

from rewriter.arrays import Bools, Floats, Ints
from rewriter.model.encoder import Encoder, Vectors, encode_apart, open_encoder
from rewriter.model.habits import Habit, UserView
from rewriter.model.index import GlobalIndex
from rewriter.recent import Recent
from rewriter.similarity import phonetic_keys

MEASURED = 6
"""Number of candidates that are measured. What was meant is among the first few or not there at all, and each takes time."""
RAREST = 1e-4
"""Least goal prior: the share that is assumed for an interpretation that only this user ever wanted."""
_MIXES_CACHED = 16
_SEARCHES_CACHED = 2048  # half the number of texts whose nearest rows are kept; about 1 KB each
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

    def keep(self, kept: "Ints | Bools") -> "Pool":
        """Return some of the rows.

        Args:
            kept: their places, or for each row whether it is kept.
        """
        rows: Ints = np.flatnonzero(kept) if kept.dtype == np.bool_ else kept.astype(np.int64)
        return Pool([self.texts[i] for i in rows.tolist()], *self._columns(rows))

    def parts(self, sizes: Sequence[int]) -> "list[Pool]":
        """Cut the rows into parts of these sizes.

        Example:
            >>> one = np.ones(3)
            >>> pool = Pool(["a", "b", "c"], np.arange(3), one, one, one, one, one, one, one, one == 1)
            >>> [part.texts for part in pool.parts([2, 1])]
            [['a', 'b'], ['c']]
        """
        if len(sizes) == 1:
            return [self]
        ends = list(itertools.accumulate(sizes, initial=0))
        spans = [slice(start, end) for start, end in itertools.pairwise(ends)]
        return [Pool(self.texts[span], *self._columns(span)) for span in spans]

    def without(self, texts: Sequence[str], sizes: Sequence[int], k: int) -> "tuple[Pool, list[int]]":
        """Return, of each of n parts, the first k rows of other texts than one; and how many these are.

        Args:
            texts: of each part, the text to leave out, normalised.
            sizes: how many rows each part has.
            k: most rows of each.
        """
        rows, left, start = [], [], 0
        for text, size in zip(texts, sizes, strict=True):
            others = [i for i in range(start, start + size) if self.texts[i] != text][:k]
            rows += others
            left.append(len(others))
            start += size
        if rows == list(range(len(rows))):  # the first rows, which take no copy
            return Pool(self.texts[: len(rows)], *self._columns(slice(len(rows)))), left
        return self.keep(np.array(rows, dtype=np.int64)), left

    def _columns(self, rows: "slice | Ints") -> tuple[Any, ...]:
        return tuple(column[rows] for column in self[1:])


class Asked(NamedTuple):
    """For what a `Finder` is asked.

    Attributes:
        hearings: normalised; the utterance first, then other hearings, best first.
        locale: as spelled in the log; texts of other locales are ignored.
        user: keyed hash; empty for nobody.
    """

    hearings: Sequence[str]
    locale: str
    user: str = ""


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
            hearings: as in `Asked`, like the two that follow.
            locale: as spelled in the log.
            user: keyed hash; empty for nobody.
            k: how many of each kind.
        """

    def find_all(self, asked: Sequence[Asked], k: int = 10) -> tuple[Pool, list[int]]:
        """Return what `find` returns for each of n requests, one after the other in one pool, and the number of rows of each."""


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
        mixed: Vectors = np.vecdot(channels, _weights(self.dense, self.letters, self.sounds))
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


class _Group(NamedTuple):
    """Rows of n requests, as parallel columns, those of each request side by side.

    Attributes:
        n: number of requests.
        rows: (m,) int64.
        request: (m,) int64, ascending, the number of the request.
        shared: (m,) bool, which were found among everybody's; None for all of them.
        own: (m,) bool, which are the user's own; None for none of them.
    """

    n: int
    rows: Ints
    request: Ints
    shared: _Mask | None
    own: _Mask | None

    def take(self, places: Ints) -> "_Group":
        """Return the rows at some places."""
        shared, own = (None if flags is None else flags[places] for flags in (self.shared, self.own))
        return _Group(self.n, self.rows[places], self.request[places], shared, own)

    def spans(self) -> list[range]:
        """Return the places of the rows of each request."""
        if self.n == 1:
            return [range(len(self.rows))]
        ends = self.request.searchsorted(np.arange(self.n + 1)).tolist()
        return list(itertools.starmap(range, itertools.pairwise(ends)))


class _Near(NamedTuple):
    """The rows that are most similar to each of n requests, most similar first.

    Attributes:
        group: the rows.
        texts: of the rows.
        channels: (m, most hearings, 3) float32.
        mixed: (m, most hearings) float32; minus infinity beyond the last hearing of a request.
    """

    group: _Group
    texts: list[str]
    channels: Vectors
    mixed: Vectors


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
        self._found: Recent[tuple[tuple[str, ...], str, int], tuple[Vectors, Ints]] = Recent(_SEARCHES_CACHED)

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
        return self.find_all([Asked(hearings, locale, user)], k)[0]

    def find_all(self, asked: Sequence[Asked], k: int = 10) -> tuple[Pool, list[int]]:
        """Find the candidates of n requests; see `Finder`. They are encoded in one call, and searched for in one call."""
        owns, view = [self.user_view.own(each.user, each.locale) for each in asked], self.user_view
        found = self._nearest(asked, owns, k, _POOLED)
        known, mixed, spans = view.known(found.group.rows), found.mixed, found.group.spans()
        success, none = known.success / 1000, np.zeros(len(found.texts))
        similarity = mixed[:, 0] if mixed.shape[1] == 1 else mixed.max(axis=1)
        own_turns = own_age = own_all = none
        if any(len(own.rows) for own in owns):
            own_turns, own_age = self._wanted(known.interpretations, spans, owns)
            own_all = none + np.array([own.turns.sum() for own in owns])[found.group.request]
        pool = Pool(
            texts=found.texts,
            interpretations=known.interpretations,
            turns=success,
            share=success / (known.turns + 1),
            similarity=similarity.astype(np.float64),
            goal_prior=view.book.goal_prior(known.interpretations),
            own_turns=own_turns,
            own_age=own_age,
            own_all=own_all,
            private=known.private,
        )
        return pool, list(map(len, spans))

    def _wanted(self, interpretations: Ints, spans: Sequence[range], owns: Sequence[Habit]) -> tuple[Floats, Floats]:
        """Return, for each interpretation, the user's turns with success that were understood so, and the days since the last."""
        turns, age = np.zeros((2, len(interpretations)))
        goals, first = self.user_view.interpretations(np.concatenate([own.rows for own in owns])), 0
        for own, span in zip(owns, spans, strict=True):
            last, places = first + len(own.rows), slice(span.start, span.stop)
            if last > first and span:
                same = interpretations[places, None] == goals[first:last]
                newest = (same * own.last_day).max(axis=1)
                turns[places], age[places] = same @ own.turns, (self.user_view.newest - newest) * same.any(axis=1)
            first = last
        return turns, age

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
        found = self._nearest([Asked(hearings, locale, user)], [own], k, pool)
        hearing, places = found.mixed.argmax(axis=1), np.arange(len(found.texts))
        rows = found.group.rows
        personal = np.zeros(len(rows), dtype=bool) if found.group.own is None else found.group.own
        turns, last_day = np.zeros((2, len(found.texts)), dtype=np.int64)
        at = own.rows.searchsorted(rows[personal])
        turns[personal], last_day[personal] = own.turns[at], own.last_day[at]
        return Retrieved(
            rows=rows,
            texts=found.texts,
            interpretations=self.user_view.known(rows).interpretations,
            personal=personal,
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

    def _nearest(self, asked: Sequence[Asked], owns: Sequence[Habit], k: int, pool: int) -> _Near:
        view, most = self.user_view, max(len(each.hearings) for each in asked)
        searched = self._searched(asked, pool)
        group = _pooled([found for _, found in searched], [own.rows for own in owns])
        sendable = view.sendable(group.rows)
        if sendable is not None:
            group = group.take(np.flatnonzero(sendable))
        queries = [of_hearings for of_hearings, _ in searched]
        vectors, texts, sounds = view.said(group.rows)
        dense = _products(vectors, group.request, queries, most)
        if max(map(len, group.spans())) > 2 * pool:
            kept = _foremost(dense.max(axis=1), group, pool)
            few = [i for span in group.spans() if len(span) <= 2 * pool for i in span]
            kept = np.union1d(kept, np.array(few, dtype=np.int64))
            group, dense, texts, sounds = group.take(kept), dense[kept], *([of[i] for i in kept] for of in (texts, sounds))
        channels = np.zeros((len(texts), most, 3), dtype=np.float32)
        channels[:, :, 0] = dense
        for (hearings, locale, _), span in zip(asked, group.spans(), strict=True):
            of = channels[span.start : span.stop, : len(hearings)]
            of[:, :, 1] = alike(hearings, texts[span.start : span.stop]).T
            of[:, :, 2] = alike(phonetic_keys(hearings, locale), sounds[span.start : span.stop]).T
        mixed = self._mix.of(channels)
        if most > 1 and len(asked) > 1:
            lengths = np.array([len(each.hearings) for each in asked])
            mixed[np.arange(most) >= lengths[group.request][:, None]] = -np.inf
        best = _foremost(mixed[:, 0] if most == 1 else mixed.max(axis=1), group, k)
        return _Near(group.take(best), [texts[i] for i in best.tolist()], channels[best], mixed[best])

    def _searched(self, asked: Sequence[Asked], pool: int) -> list[tuple[Vectors, Ints]]:
        """Return the vectors of the hearings of each request, and the rows nearest to each of them."""
        keys = [(tuple(hearings), locale, pool) for hearings, locale, _ in asked]
        found = {key: known for key in keys if (known := self._found.get(key)) is not None}
        new = [key for key in dict.fromkeys(keys) if key not in found]
        for locale in dict.fromkeys(key[1] for key in new):
            of = [key for key in new if key[1] == locale]
            queries = encode_apart(self.encoder, [hearings for hearings, _, _ in of])
            rows = self.index.search(queries[0] if len(of) == 1 else np.concatenate(queries), locale, pool)
            start = 0
            for key, vectors in zip(of, queries, strict=True):
                end = start + len(vectors)
                # Copies, since what is kept must not keep the arrays of all other requests.
                found[key] = vectors.copy(), rows[start:end].copy()
                self._found.put(key, found[key])
                start = end
        return [found[key] for key in keys]


_REQUEST = 40  # bits of a row's number; those above hold the number of its request


def _pooled(found: Sequence[Ints], own: Sequence[Ints]) -> _Group:
    """Join what was found for all hearings of each request with the user's own rows, each row once, ascending."""
    keys = _keyed([rows.ravel() for rows in found])
    keys = np.sort(keys) if all(len(rows) == 1 for rows in found) else _distinct(keys)
    shared = mine = None
    if any(map(len, own)):
        of_all, of_user = keys, _keyed(own)
        keys = _distinct(np.concatenate((of_all, of_user)))
        shared, mine = np.zeros((2, len(keys)), dtype=bool)
        shared[keys.searchsorted(of_all)] = True
        mine[keys.searchsorted(of_user)] = True
    if len(found) == 1:
        return _Group(1, keys, np.zeros(len(keys), dtype=np.int64), shared, mine)
    return _Group(len(found), keys & (1 << _REQUEST) - 1, keys >> _REQUEST, shared, mine)


def _keyed(groups: Sequence[Ints]) -> Ints:
    """Return the rows of n requests with the numbers of the requests above them; without fillers."""
    if len(groups) == 1:
        keys = groups[0]
        return keys if keys.min(initial=0) >= 0 else keys[keys >= 0]
    rows = np.concatenate(groups)
    keys = rows + (np.repeat(np.arange(len(groups), dtype=np.int64), list(map(len, groups))) << _REQUEST)
    return keys[rows >= 0]


def _distinct(rows: Ints) -> Ints:
    """Return what `numpy.unique` does; for short arrays in a third of the time."""
    rows = np.sort(rows)
    first = np.ones(len(rows), dtype=bool)
    np.not_equal(rows[1:], rows[:-1], out=first[1:])
    return rows[first]


def _products(vectors: Vectors, request: Ints, queries: Sequence[Vectors], most: int) -> Vectors:
    """Return the inner product of each row with each hearing of its request, (m, most) float32; -1, the least there is,
    beyond the last hearing.
    """
    if most == 1:
        of = queries[0] if len(queries) == 1 else np.concatenate(queries)[request]
        alone: Vectors = np.vecdot(vectors, of)
        return alone[:, None]
    said, first = np.concatenate(queries), np.cumsum([0, *map(len, queries[:-1])])[request]
    lengths = np.array(list(map(len, queries)))[request]
    products = np.full((len(vectors), most), -1.0, dtype=np.float32)
    for place in range(most):
        at = np.flatnonzero(lengths > place)
        products[at, place] = np.vecdot(vectors[at], said[first[at] + place])
    return products


def _foremost(similarity: Vectors, group: _Group, k: int) -> Ints:
    """Return the places of the k most similar rows of everybody and of the k most similar of the user, most similar first.

    Those of each request stay side by side.
    """
    alone = group.n == 1
    order: Ints = (-similarity).argsort(kind="stable") if alone else np.lexsort((-similarity, group.request))
    if group.shared is None or group.own is None:
        return order[:k] if alone else order[_counted(np.ones(len(order), dtype=bool), group) <= k]
    shared, own = group.shared[order], group.own[order]
    kept: Ints = order[(shared & (_counted(shared, group) <= k)) | (own & (_counted(own, group) <= k))]
    return kept


def _counted(flags: _Mask, group: _Group) -> Ints:
    """Return how many flags are set up to each row within its request."""
    counted = flags.cumsum()
    if group.n > 1:
        counted -= np.append(0, counted)[group.request.searchsorted(np.arange(group.n))][group.request]
    return counted
