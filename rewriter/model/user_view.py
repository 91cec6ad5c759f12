"""`UserView`: the global book and the private rows under one numbering."""

from pathlib import Path

import numpy as np
import numpy.typing as npt

from rewriter.arrays import Ints
from rewriter.errors import CURE_ARTEFACT, ArtefactError, reading_artefact
from rewriter.model.encoder import Vectors
from rewriter.model.habits import Habit, Habits
from rewriter.model.query_store import QueryBook, mapped

_SPOKEN = "spoken.npy"
_NOBODY = Habit(*(np.zeros(0, dtype=np.int64) for _ in Habit._fields))


class UserView:
    """Rows below ``len(book)`` are the global book's, the others are private: each reachable only through its user's habits.

    `vectors`, `texts` and `sounds` are of ascending rows.

    Args:
        book: the global book.
        habits: the personal index, whose rows point into `book`.
        spoken: (n,) which rows of `book` something may be rewritten to; None for all.

    Attributes:
        newest: the last day of any row, days since 1970-01-01 UTC.
    """

    __slots__ = ("_locales", "_spoken", "book", "habits", "newest")

    def __init__(self, book: QueryBook, habits: Habits, spoken: npt.NDArray[np.bool_] | None = None) -> None:
        self._spoken = None if spoken is None or spoken.all() else spoken
        self.book = book
        self.habits = habits
        self.newest = max(book.newest, habits.private.newest)
        self._locales = {*book.locales, *habits.private.locales}

    @classmethod
    def open(cls, folder: Path) -> "UserView":
        """Open ``book``, ``habits`` and ``spoken`` of an artefact.

        Raises:
            ArtefactError: a file is missing, or is none of ours.
        """
        book, path = QueryBook.open(folder / "book"), folder / _SPOKEN
        if not path.exists():
            return cls(book, Habits.open(folder / "habits"))
        with reading_artefact(path):
            spoken = np.asarray(mapped(path), dtype=bool)
        if spoken.shape != (len(book),):
            raise ArtefactError(f"{path} does not belong to this query book; {CURE_ARTEFACT}")
        return cls(book, Habits.open(folder / "habits"), spoken)

    def own(self, user: str, locale: str) -> Habit:
        """Return a user's slice, less the rows of other locales; empty for an unknown user.

        Args:
            user: keyed hash; empty for nobody.
            locale: as spelled in the log.
        """
        if not user:
            return _NOBODY
        habit = self.habits.of(user)
        if self._locales == {locale}:
            return habit
        shared, private = self._split(habit.rows)
        spoken = np.concatenate([self.book.speaks(shared, locale), self.habits.private.speaks(private, locale)])
        return Habit(*(column[spoken] for column in habit))

    def vectors(self, rows: Ints) -> Vectors:
        """Return the vectors of rows, (m, dim) float32."""
        shared, private = self._split(rows)
        halves = self.book.vectors[shared]
        if len(private):
            halves = np.concatenate([halves, self.habits.private.vectors[private]])
        return halves.astype(np.float32)

    def texts(self, rows: Ints) -> list[str]:
        """Return the utterances of rows."""
        shared, private = self._split(rows)
        texts = self.book.texts(shared)
        return texts + self.habits.private.texts(private) if len(private) else texts

    def sounds(self, rows: Ints) -> list[str]:
        """Return the phonetic keys of rows."""
        shared, private = self._split(rows)
        sounds = self.book.sounds(shared)
        return sounds + self.habits.private.sounds(private) if len(private) else sounds

    def interpretations(self, rows: Ints) -> Ints:
        """Return the interpretations of rows, as numbered in `Queries`."""
        return self._column("interpretations", rows)

    def worked(self, rows: Ints) -> tuple[Ints, Ints]:
        """Return how often rows were sent, and the thousandths of that which succeeded; of private rows by their user alone."""
        return self._column("turns", rows), self._column("success", rows)

    def sendable(self, rows: Ints) -> npt.NDArray[np.bool_] | None:
        """Return to which rows something may be rewritten, (m,) bool; None for all of them."""
        if self._spoken is None:
            return None
        shared = rows < len(self.book)
        return ~shared | self._spoken[np.where(shared, rows, 0)]

    def private(self, rows: Ints) -> npt.NDArray[np.bool_]:
        """Return which rows are private, (m,) bool."""
        return np.asarray(rows >= len(self.book), dtype=bool)

    def holds(self, text: str, locale: str, user: str) -> bool:
        """Whether a text is a row of everybody's, or a private one of this user.

        Args:
            text: normalised.
            locale: as spelled in the log.
            user: keyed hash; empty for nobody.
        """
        if len(self.book.rows_of(text, locale)):
            return True
        if not user:
            return False
        own = self.habits.private.rows_of(text, locale)
        return len(own) > 0 and bool(np.isin(own + len(self.book), self.habits.of(user).rows).any())

    def _column(self, name: str, rows: Ints) -> Ints:
        private = rows >= len(self.book)
        column: Ints = getattr(self.book, name)
        if not private.any():
            return column[rows]
        values = np.empty(len(rows), dtype=column.dtype)
        values[~private] = column[rows[~private]]
        values[private] = getattr(self.habits.private, name)[rows[private] - len(self.book)]
        return values

    def _split(self, rows: Ints) -> tuple[Ints, Ints]:
        n = len(self.book)
        if not len(rows) or rows[-1] < n:
            return rows, rows[:0]
        cut = int(rows.searchsorted(n))
        return rows[:cut], rows[cut:] - n


def save_spoken(folder: Path, spoken: npt.NDArray[np.bool_]) -> None:
    """Write which rows of the global book something may be rewritten to, (n,)."""
    np.save(folder / _SPOKEN, spoken)
