"""`Habits`: which queries each user says. `UserView`: the queries that the requests of one user may be rewritten to.

A user's habits are a slice of arrays: rows of the global book, and private rows that no other user can reach. There is no object
per user, so millions of users take no more than their columns. In a `UserView` the rows of the global book come first, and row
``len(book) + i`` is private row i.
"""

import json
from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
import numpy.typing as npt

from rewriter.arrays import Bools, Ints
from rewriter.errors import CURE_ARTEFACT, ArtefactError, reading_artefact
from rewriter.model.columns import HashIndex, Keys, TextColumn, mapped, save_texts
from rewriter.model.encoder import Encoder, Vectors
from rewriter.model.query_store import Queries, QueryBook, write_book

_HEADER = "habits.json"
_HIGH, _LOW = "high", "low"  # the users' hashes in two halves: the index holds the high halves, and the low halves are compared
_HEX = 32  # hex digits of a user's hash
_WRONG_HASH = f"a keyed hash of a user has {_HEX} hex digits"
_TARGETS = "spoken.npy"  # which rows of the global book may be the target of a rewrite
_SURFACES = "surfaces"
SHOWS = "shows"
"""File of the flags of `Listed`; one of the same name holds those of the rows of the global book."""


@dataclass(frozen=True, slots=True)
class UserCounts:
    """How often each user said which query of the global book, as parallel columns in any order.

    Attributes:
        users: keyed hashes (`rewriter.text.hash_user`), 32 hex digits each.
        rows: (n,) int64, rows of the global book.
        turns: (n,) int64, how often with success.
        last_day: (n,) int64, days since 1970-01-01 UTC.
    """

    users: Sequence[str]
    rows: Ints
    turns: Ints
    last_day: Ints


class Habit(NamedTuple):
    """The queries of one user, as parallel columns.

    Attributes:
        rows: (m,) int64, ascending; numbers below `Habits.shared` are rows of the global book, the others private rows.
        turns: (m,) int64, how often this user said it with success.
        last_day: (m,) int64, days since 1970-01-01 UTC.
    """

    rows: Ints
    turns: Ints
    last_day: Ints


class Said(NamedTuple):
    """The words of some rows, as parallel columns.

    Attributes:
        vectors: (m, dim) float32.
        texts: the utterances.
        sounds: their phonetic keys (`rewriter.similarity.phonetic_key`).
    """

    vectors: Vectors
    texts: list[str]
    sounds: list[str]


class Known(NamedTuple):
    """What is known of some rows, as parallel columns.

    Attributes:
        interpretations: (m,) int64, as numbered in `Queries`.
        turns: (m,) int64, how often each was sent.
        success: (m,) int64, how much of that succeeded, in thousandths of a turn.
        private: (m,) bool, whether only this user has said it.
    """

    interpretations: Ints
    turns: Ints
    success: Ints
    private: Bools


@dataclass(frozen=True, slots=True)
class Listed:
    """What is kept of private rows that the operator listed, beside their columns in the book, as parallel columns.

    Attributes:
        surfaces: how each is spelled when it is sent.
        shows: (n,) bool, whether its interpretation is known, so that it shows which words change the meaning.
    """

    surfaces: Sequence[str]
    shows: Bools


class Habits:
    """Which queries each user says, in one artefact version, in memory maps. Safe to use from many threads.

    Attributes:
        shared: number of rows of the global book; the first private row has this number.
        private: the private rows, those of each user side by side.
        surfaces: how each private row is spelled when it is sent; None where no operator listed them.
        shows: (n,) bool, see `Listed`; None as well.

    Example:
        >>> import tempfile
        >>> from rewriter.model.encoder import StaticEncoder, random_table
        >>> ann, bob, one = "a" * 32, "b" * 32, np.ones(1, dtype=np.int64)
        >>> private = Queries(["call aunt zoe"], ["en"], one, one, one, one, one)
        >>> folder, encoder = Path(tempfile.mkdtemp()), StaticEncoder(random_table(64, seed=0))
        >>> write_habits(folder, UserCounts([ann], 7 * one, one, one), [bob], private, 100, encoder)
        >>> habits = Habits.open(folder)
        >>> habits.of(ann).rows.tolist(), habits.of(bob).rows.tolist(), habits.of("c" * 32).rows.tolist()
        ([7], [100], [])
    """

    __slots__ = ("_index", "_last_day", "_low", "_rows", "_starts", "_turns", "private", "shared", "shows", "surfaces")

    def __init__(self, folder: Path) -> None:
        self.shared = int(json.loads((folder / _HEADER).read_text(encoding="utf-8"))["shared"])
        self.private = QueryBook.open(folder / "private")
        self._index = HashIndex.open(folder, _HIGH)
        self._low: Keys = mapped(folder / f"{_LOW}.npy")
        self._starts: Ints = mapped(folder / "starts.npy")
        self._rows: Ints = mapped(folder / "rows.npy")
        self._turns: Ints = mapped(folder / "turns.npy")
        self._last_day: Ints = mapped(folder / "last_day.npy")
        listed = (folder / f"{SHOWS}.npy").exists()
        self.surfaces: TextColumn | None = TextColumn.open(folder, _SURFACES) if listed else None
        self.shows: Bools | None = mapped(folder / f"{SHOWS}.npy") if listed else None

    @classmethod
    def open(cls, folder: Path) -> "Habits":
        """Map what `write_habits` wrote.

        Raises:
            ArtefactError: a file is missing or unreadable.
        """
        with reading_artefact(folder):
            return cls(folder)

    def __len__(self) -> int:
        """Return the number of users."""
        return len(self._index)

    def of(self, user: str) -> Habit:
        """Return the habits of a user; empty for an unknown user. All 128 bits of the hash are compared.

        Args:
            user: keyed hash, 32 hex digits.
        """
        place = self._place(user)
        own = slice(0, 0) if place is None else slice(int(self._starts[place]), int(self._starts[place + 1]))
        return Habit(self._rows[own], self._turns[own], self._last_day[own])

    def without(self, users: Collection[str], folder: Path, shared: npt.NDArray[np.bool_] | None = None) -> None:
        """Write these habits into another folder without those of some users, and without some rows of the global book.

        Args:
            users: keyed hashes of the users to forget.
            folder: must not be the folder that these habits are read from.
            shared: (n,) bool, which rows of the global book stay; None for all.
        """
        stays = np.ones(len(self), dtype=bool)
        stays[[place for user in users if (place := self._place(user)) is not None]] = False
        in_book = np.append(np.ones(self.shared, dtype=bool) if shared is None else shared, True)  # the last: private rows
        private, places = self._rows >= self.shared, np.minimum(self._rows, self.shared)
        user = np.repeat(np.arange(len(self)), np.diff(self._starts))
        kept = stays[user] & in_book[places]
        n_shared, rows = int(np.count_nonzero(in_book)) - 1, (np.cumsum(in_book) - 1)[places]
        rows[private & kept] = n_shared + np.arange(np.count_nonzero(private & kept))
        lengths = np.bincount(user[kept], minlength=len(self))[stays]
        columns = {"rows": rows[kept], "turns": self._turns[kept], "last_day": self._last_day[kept]}
        heads = {_HIGH: self._index.keys[stays], _LOW: self._low[stays], "starts": _starts(lengths)}
        _save(folder, n_shared, heads | columns)
        self.private.keep(kept[private], folder / "private")
        if self.surfaces is not None and self.shows is not None:
            save_texts(folder, _SURFACES, self.surfaces.take(np.flatnonzero(kept[private])))
            np.save(folder / f"{SHOWS}.npy", self.shows[kept[private]])

    def _place(self, user: str) -> int | None:
        if len(user) != _HEX:
            raise ValueError(_WRONG_HASH)
        high, low = divmod(int.from_bytes(bytes.fromhex(user)), 1 << 64)
        for place in range(*self._index.find_all(high).indices(len(self._index))):
            if self._low[place] == low:
                return place
        return None


_NOBODY = Habit(*(np.zeros(0, dtype=np.int64) for _ in Habit._fields))


class UserView:
    """The global book and the habits under one numbering of rows. Safe to use from many threads.

    A request of one user may use the global rows and the private rows of that user (`own`), never those of another user.

    Args:
        book: the global book.
        habits: the personal index, whose rows point into `book`.
        spoken: (n,) bool, the rows of `book` that a request may be rewritten to; None for all.

    Attributes:
        newest: the last day of any row, days since 1970-01-01 UTC.
    """

    __slots__ = ("_locales", "_spoken", "book", "habits", "newest")

    def __init__(self, book: QueryBook, habits: Habits, spoken: Bools | None = None) -> None:
        self._spoken = None if spoken is None or spoken.all() else spoken
        self.book = book
        self.habits = habits
        self.newest = max(book.newest, habits.private.newest)
        self._locales = {*book.locales, *habits.private.locales}

    @classmethod
    def open(cls, folder: Path) -> "UserView":
        """Open ``book``, ``habits`` and ``spoken.npy`` in a folder.

        Raises:
            ArtefactError: a file is missing, unreadable, or belongs to another book.
        """
        book, path = QueryBook.open(folder / "book"), folder / _TARGETS
        if not path.exists():
            return cls(book, Habits.open(folder / "habits"))
        with reading_artefact(path):
            spoken = np.asarray(mapped(path), dtype=bool)
        if spoken.shape != (len(book),):
            raise ArtefactError(f"{path} does not belong to this query book; {CURE_ARTEFACT}")
        return cls(book, Habits.open(folder / "habits"), spoken)

    def own(self, user: str, locale: str) -> Habit:
        """Return the habits of a user in one locale; empty for an unknown user.

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
        """Return the vectors of some rows, (m, dim) float32."""
        return self.said(rows).vectors

    def texts(self, rows: Ints) -> list[str]:
        """Return the utterances of some rows."""
        return self.said(rows).texts

    def said(self, rows: Ints) -> Said:
        """Return the vectors, the utterances and the phonetic keys of some rows."""
        own, book, private = self.private(rows), self.book, self.habits.private
        if not own.any():
            return Said(book.vectors[rows].astype(np.float32), book.texts(rows), book.sounds(rows))
        texts, sounds = np.empty((2, len(rows)), dtype=object)
        shared, mine = rows[~own], rows[own] - len(book)
        texts[~own], texts[own] = book.texts(shared), private.texts(mine)
        sounds[~own], sounds[own] = book.sounds(shared), private.sounds(mine)
        return Said(self._column("vectors", rows, own).astype(np.float32), texts.tolist(), sounds.tolist())

    def interpretations(self, rows: Ints) -> Ints:
        """Return the interpretations of some rows, (m,) int64, as numbered in `Queries`."""
        return self._column("interpretations", rows, self.private(rows))

    def known(self, rows: Ints) -> Known:
        """Return what is known of some rows. Private rows count only the turns of their user."""
        private, book = self.private(rows), self.book
        if not private.any():
            return Known(book.interpretations[rows], book.turns[rows], book.success[rows], private)
        interpretations, turns, success = (self._column(name, rows, private) for name in ("interpretations", "turns", "success"))
        return Known(interpretations, turns, success, private)

    def sendable(self, rows: Ints) -> Bools | None:
        """Return which of some rows a request may be rewritten to, (m,) bool; None if all of them."""
        if self._spoken is None:
            return None
        shared = rows < len(self.book)
        return ~shared | self._spoken[np.where(shared, rows, 0)]

    def private(self, rows: Ints) -> Bools:
        """Return which of some rows are private, (m,) bool."""
        private: Bools = rows >= len(self.book)
        return private

    def holds(self, text: str, locale: str, user: str) -> bool:
        """Return whether a text is a row of the global book or a private row of this user.

        Args:
            text: normalised.
            locale: as spelled in the log.
            user: keyed hash; empty for nobody.
        """
        return self.book.holds(text, locale) or len(self._private_of(text, locale, user)) > 0

    def surface(self, text: str, locale: str, user: str) -> str | None:
        """Return how the operator spelled a private row of this user; None if it is none, or nobody told.

        Args:
            text: normalised.
            locale: as spelled in the log or catalog.
            user: keyed hash; empty for nobody.
        """
        if self.habits.surfaces is None:
            return None
        found = self._private_of(text, locale, user)[:1]
        return self.habits.surfaces.take(found)[0] if len(found) else None

    def _private_of(self, text: str, locale: str, user: str) -> Ints:
        """Return the private rows of this user with this text, numbered in the book of private rows."""
        if not user:
            return _NOBODY.rows
        found = self.habits.private.rows_of(text, locale)
        return found[np.isin(found + len(self.book), self.habits.of(user).rows)] if len(found) else found

    def _column(self, name: str, rows: Ints, private: Bools) -> npt.NDArray[Any]:
        column: npt.NDArray[Any] = getattr(self.book, name)
        if not private.any():
            return column[rows]
        values = np.empty((len(rows), *column.shape[1:]), dtype=column.dtype)
        values[~private] = column[rows[~private]]
        values[private] = getattr(self.habits.private, name)[rows[private] - len(self.book)]
        return values

    def _split(self, rows: Ints) -> tuple[Ints, Ints]:
        n = len(self.book)
        if not len(rows) or rows[-1] < n:
            return rows, rows[:0]
        cut = int(rows.searchsorted(n))
        return rows[:cut], rows[cut:] - n


def write_habits(
    folder: Path,
    counts: UserCounts,
    private_users: Sequence[str],
    private: Queries,
    shared: int,
    encoder: Encoder,
    listed: Listed | None = None,
) -> None:
    """Write the files that `Habits` maps.

    Args:
        folder: where the files go; created if it is missing.
        counts: habits among the rows of the global book, in any order.
        private_users: keyed hash of the user of each private row.
        private: texts that worked for one user and are not in the global book, in any order.
        shared: number of rows of the global book.
        encoder: the encoder of the global book.
        listed: more about the private rows, in their order; None where they come from turns.

    Raises:
        ValueError: columns differ in length, a row is not in the global book, or a hash has not 32 hex digits.
    """
    if len({len(counts.users), len(counts.rows), len(counts.turns), len(counts.last_day)}) > 1 or len(private_users) != len(
        private.texts
    ):
        raise ValueError("the columns of the habits differ in length")
    if len(counts.rows) and not 0 <= counts.rows.min() <= counts.rows.max() < shared:
        raise ValueError(f"a habit names a row outside the global book of {shared} rows")
    keys = _halves([*private_users, *counts.users])
    hashes, numbers = np.unique(keys, axis=0, return_inverse=True)
    mine = np.argsort(numbers[: len(private_users)], kind="stable")
    private, numbers[: len(mine)] = private.take(mine), numbers[mine]
    rows = np.concatenate([shared + np.arange(len(mine)), counts.rows])
    order = np.lexsort((rows, numbers))
    columns = {
        _HIGH: hashes[:, 0],
        _LOW: hashes[:, 1],
        "starts": _starts(np.bincount(numbers, minlength=len(hashes))),
        "rows": rows[order],
        "turns": np.concatenate([private.turns, counts.turns])[order],
        "last_day": np.concatenate([private.last_day, counts.last_day])[order],
    }
    _save(folder, shared, columns)
    write_book(folder / "private", private, encoder)
    if listed is not None:
        save_texts(folder, _SURFACES, [listed.surfaces[i] for i in mine.tolist()])
        np.save(folder / f"{SHOWS}.npy", listed.shows[mine])


def save_spoken(folder: Path, spoken: Bools) -> None:
    """Write which rows of the global book a request may be rewritten to, (n,) bool."""
    np.save(folder / _TARGETS, spoken)


def _halves(users: Sequence[str]) -> Keys:
    """Read hexadecimal hashes as two numbers each, which sort as the hashes do, (n, 2)."""
    if any(len(user) != _HEX for user in users):
        raise ValueError(_WRONG_HASH)
    return np.frombuffer(bytes.fromhex("".join(users)), dtype=">u8").reshape(-1, 2).astype(np.uint64)


def _starts(counts: npt.NDArray[np.integer]) -> Ints:
    """Return where each slice starts, and where the last one ends, (n + 1,)."""
    return np.concatenate([[0], np.cumsum(counts)]).astype(np.int64)


def _save(folder: Path, shared: int, columns: Mapping[str, npt.NDArray[np.generic]]) -> None:
    folder.mkdir(parents=True, exist_ok=True)
    for name, column in columns.items():
        np.save(folder / f"{name}.npy", column)
    (folder / _HEADER).write_text(json.dumps({"shared": shared}), encoding="utf-8")
