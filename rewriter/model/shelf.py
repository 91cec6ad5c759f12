"""`Shelf`: the global book and the private rows under one numbering."""

from pathlib import Path

import numpy as np

from rewriter.model.encoder import Vectors
from rewriter.model.habits import Habit, Habits
from rewriter.model.querybook import Ints, QueryBook

_NOBODY = Habit(*(np.zeros(0, dtype=np.int64) for _ in Habit._fields))


class Shelf:
    """Rows below ``len(book)`` are the global book's, the others are private: each reachable only through its user's habits.

    Wherever rows are asked for, they are given in ascending order.

    Args:
        book: the global book.
        habits: the personal index, whose rows point into `book`.
    """

    __slots__ = ("_locales", "book", "habits")

    def __init__(self, book: QueryBook, habits: Habits) -> None:
        self.book = book
        self.habits = habits
        self._locales = {*book.locales, *habits.private.locales}

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
        shared, private = self._split(rows)
        understood = self.book.interpretations[shared]
        return np.concatenate([understood, self.habits.private.interpretations[private]]) if len(private) else understood

    def _split(self, rows: Ints) -> tuple[Ints, Ints]:
        n = len(self.book)
        cut = int(rows.searchsorted(n))
        return rows[:cut], rows[cut:] - n
