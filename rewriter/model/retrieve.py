"""`Retriever`: from what was heard to the queries that may have been meant, everybody's and the user's own."""

from collections.abc import Sequence
from pathlib import Path
from typing import NamedTuple

import numpy as np
import numpy.typing as npt

from rewriter.model.channels import Channels
from rewriter.model.encoder import Vectors
from rewriter.model.habits import Habit, Habits
from rewriter.model.index import GlobalIndex
from rewriter.model.querybook import Ints, QueryBook

_DISCOUNT = 0.97  # of the similarity, for each place that a hearing stands below the first


class Retrieved(NamedTuple):
    """What may have been meant, most alike first, as parallel columns.

    Attributes:
        rows: (m,) int64; below ``len(book)`` rows of the global book, from there on private rows (see `Retriever.text`).
        personal: (m,) bool, whether the user has said it with success before.
        turns: (m,) int64, how often this user did.
        last_day: (m,) int64, when this user last did, in days since 1970-01-01; 0 for never.
        hearings: (m,) int64, which hearing found it, 0 for the first.
        similarity: (m,) float32, of that hearing to the row over all channels, discounted for a later hearing.
        channels: (m, channels) float32, the similarity in each channel of `Channels.names`.
    """

    rows: Ints
    personal: npt.NDArray[np.bool_]
    turns: Ints
    last_day: Ints
    hearings: Ints
    similarity: Vectors
    channels: Vectors


class Retriever:
    """The encoders, books and indexes of one artefact version.

    Args:
        channels: the encoders.
        book: the global book.
        index: the index over it.
        habits: the personal index; its rows point into `book`.
    """

    __slots__ = ("_book", "_channels", "_habits", "_index")

    def __init__(self, channels: Channels, book: QueryBook, index: GlobalIndex, habits: Habits) -> None:
        self._channels = channels
        self._book = book
        self._index = index
        self._habits = habits

    @classmethod
    def open(cls, folder: Path) -> "Retriever":
        """Open the folders ``channels``, ``book``, ``index`` and ``habits`` of an artefact.

        Raises:
            ArtefactError: a file is missing, or is none of ours.
        """
        book, index = QueryBook.open(folder / "book"), GlobalIndex.open(folder / "index")
        return cls(Channels.open(folder / "channels"), book, index, Habits.open(folder / "habits"))

    @property
    def names(self) -> tuple[str, ...]:
        """The channels, in the order of `Retrieved.channels`."""
        return self._channels.names

    def retrieve(self, hearings: Sequence[str], locale: str, user: str = "", k: int = 10) -> Retrieved:
        """Return the k most alike queries of everybody and the k most alike of the user's own.

        A row is as alike as its best hearing, ``max_h 0.97^h * <hearing_h, row>``.

        Args:
            hearings: normalised; the utterance first, then other hearings, best first.
            locale: as spelled in the log; queries of other locales are not looked at.
            user: keyed hash; empty for nobody.
            k: how many from each of the two.
        """
        queries = self._channels.encode(hearings, locale)
        found = self._index.search(queries, locale, k)
        own = self._own(user, locale)
        rows = np.union1d(found[found >= 0], own.rows)
        mine, turns, last_day = _looked_up(rows, own)
        vectors = self._vectors(rows)
        alike = vectors @ queries.T * _DISCOUNT ** np.arange(len(queries), dtype=np.float32)
        hearing = alike.argmax(axis=1)
        similarity = alike[np.arange(len(rows)), hearing]
        order = np.argsort(-similarity, kind="stable")
        best = order[_first(np.isin(rows, found)[order], k) | _first(mine[order], k)]
        channels = self._channels.similarities(queries[hearing[best]], vectors[best])
        return Retrieved(rows[best], mine[best], turns[best], last_day[best], hearing[best], similarity[best], channels)

    def text(self, row: int) -> str:
        """Return the utterance of a row of `Retrieved.rows`."""
        book, row = self._place(row)
        return book.text(row)

    def interpretation(self, row: int) -> int:
        """Return the interpretation of a row of `Retrieved.rows`, as numbered in `Queries`."""
        book, row = self._place(row)
        return int(book.interpretations[row])

    def _place(self, row: int) -> tuple[QueryBook, int]:
        n = self._habits.shared
        return (self._book, row) if row < n else (self._habits.private, row - n)

    def _own(self, user: str, locale: str) -> Habit:
        """The user's slice, less the rows of other locales."""
        if not user:
            return _NOBODY
        habit = self._habits.of(user)
        cut = int(habit.rows.searchsorted(self._habits.shared))
        spoken = [
            self._book.speaks(habit.rows[:cut], locale),
            self._habits.private.speaks(habit.rows[cut:] - self._habits.shared, locale),
        ]
        return Habit(*(column[np.concatenate(spoken)] for column in habit))

    def _vectors(self, rows: Ints) -> Vectors:
        """The vectors of sorted rows, those of the global book before the private ones, (m, dim)."""
        cut = int(rows.searchsorted(self._habits.shared))
        shared, private = self._book.vectors[rows[:cut]], self._habits.private.vectors[rows[cut:] - self._habits.shared]
        return np.concatenate([shared, private]).astype(np.float32)


_NOBODY = Habit(*(np.zeros(0, dtype=np.int64) for _ in Habit._fields))


def _looked_up(rows: Ints, own: Habit) -> tuple[npt.NDArray[np.bool_], Ints, Ints]:
    """Say of each of some sorted rows whether it is one's own, and if so how often said and when last, else zeros."""
    at = own.rows.searchsorted(rows)
    at[at == len(own.rows)] = 0
    mine = own.rows[at] == rows if len(own.rows) else np.zeros(len(rows), dtype=bool)
    turns, last_day = np.zeros_like(rows), np.zeros_like(rows)
    turns[mine], last_day[mine] = own.turns[at[mine]], own.last_day[at[mine]]
    return mine, turns, last_day


def _first(of: npt.NDArray[np.bool_], k: int) -> npt.NDArray[np.bool_]:
    """The first k that hold."""
    kept: npt.NDArray[np.bool_] = of & (np.cumsum(of) <= k)
    return kept
