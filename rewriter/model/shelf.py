"""`Shelf`: the global book and the private rows under one numbering."""

from pathlib import Path

import numpy as np

from rewriter.model.encoder import Vectors
from rewriter.model.habits import Habit, Habits
from rewriter.model.querybook import Ints, QueryBook

_NOBODY = Habit(*(np.zeros(0, dtype=np.int64) for _ in Habit._fields))


class Shelf:
    """Rows below ``len(book)`` are the global book's, the others are private: each reachable only through its user's habits.

    Wherever rows are asked for, those of the global book come before the private ones.

    Args:
        book: the global book.
        habits: the personal index, whose rows point into `book`.
    """

    __slots__ = ("book", "habits")

    def __init__(self, book: QueryBook, habits: Habits) -> None:
        self.book = book
        self.habits = habits

    @classmethod
    def open(cls, folder: Path) -> "Shelf":
        """Open ``book`` and ``habits`` of an artefact.

        Raises:
            ArtefactError: a file is missing, or is none of ours.
        """
        return cls(QueryBook.open(folder / "book"), Habits.open(folder / "habits"))

    def own(self, user: str, locale: str) -> Habit:
        """Return a user's slice, less the rows of other locales; empty for an unknown user.

        Args:
            user: keyed hash; empty for nobody.
            locale: as spelled in the log.
        """
        if not user:
            return _NOBODY
        habit = self.habits.of(user)
        shared, private = self._split(habit.rows)
        spoken = np.concatenate([self.book.speaks(shared, locale), self.habits.private.speaks(private, locale)])
        return Habit(*(column[spoken] for column in habit))

    def vectors(self, rows: Ints) -> Vectors:
        """Return the vectors of rows, (m, dim) float32."""
        shared, private = self._split(rows)
        return np.concatenate([self.book.vectors[shared], self.habits.private.vectors[private]]).astype(np.float32)

    def texts(self, rows: Ints) -> list[str]:
        """Return the utterances of rows."""
        shared, private = self._split(rows)
        return self.book.texts(shared) + self.habits.private.texts(private)

    def sounds(self, rows: Ints) -> list[str]:
        """Return the phonetic keys of rows."""
        shared, private = self._split(rows)
        return self.book.sounds(shared) + self.habits.private.sounds(private)

    def interpretations(self, rows: Ints) -> Ints:
        """Return the interpretations of rows, as numbered in `Queries`."""
        shared, private = self._split(rows)
        return np.concatenate([self.book.interpretations[shared], self.habits.private.interpretations[private]])

    def _split(self, rows: Ints) -> tuple[Ints, Ints]:
        cut = int(np.count_nonzero(rows < len(self.book)))
        return rows[:cut], rows[cut:] - len(self.book)
