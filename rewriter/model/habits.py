"""`Habits`: the personal index. A user is a slice of arrays: rows of the global book, and private rows of nobody else."""

import json
from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import NamedTuple

import numpy as np
import numpy.typing as npt

from rewriter.arrays import Ints
from rewriter.errors import reading_artefact
from rewriter.model.encoder import Encoder
from rewriter.model.query_store import Queries, QueryBook, mapped, write_book

_Hashes = npt.NDArray[np.uint64]

_HEADER = "habits.json"
_HEX = 32  # digits of a user's hash


@dataclass(frozen=True, slots=True)
class Said:
    """Which user says which query of the global book, as parallel columns.

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
    """One user's slice, as parallel columns.

    Attributes:
        rows: (m,) int64, ascending; below `Habits.shared` rows of the global book, from there on private rows.
        turns: (m,) int64, how often this user said it with success.
        last_day: (m,) int64, days since 1970-01-01 UTC.
    """

    rows: Ints
    turns: Ints
    last_day: Ints


class Habits:
    """The personal index of one artefact version, read from memory maps: no object per user, whatever their number.

    Attributes:
        shared: rows of the global book; the first private row has this number.
        private: the private rows, those of one user side by side.

    Example:
        >>> import tempfile
        >>> from rewriter.model.encoder_static import StaticEncoder, random_table
        >>> ann, bob, one = "a" * 32, "b" * 32, np.ones(1, dtype=np.int64)
        >>> private = Queries(["call aunt zoe"], ["en"], one, one, one, one, one)
        >>> folder, encoder = Path(tempfile.mkdtemp()), StaticEncoder(random_table(64, seed=0))
        >>> write_habits(folder, Said([ann], 7 * one, one, one), [bob], private, 100, encoder)
        >>> habits = Habits.open(folder)
        >>> habits.of(ann).rows.tolist(), habits.of(bob).rows.tolist(), habits.of("c" * 32).rows.tolist()
        ([7], [100], [])
    """

    __slots__ = ("_high", "_last_day", "_low", "_rows", "_starts", "_turns", "private", "shared")

    def __init__(self, folder: Path) -> None:
        self.shared = int(json.loads((folder / _HEADER).read_text(encoding="utf-8"))["shared"])
        self.private = QueryBook.open(folder / "private")
        self._high: _Hashes = mapped(folder / "high.npy")
        self._low: _Hashes = mapped(folder / "low.npy")
        self._starts: Ints = mapped(folder / "starts.npy")
        self._rows: Ints = mapped(folder / "rows.npy")
        self._turns: Ints = mapped(folder / "turns.npy")
        self._last_day: Ints = mapped(folder / "last_day.npy")

    @classmethod
    def open(cls, folder: Path) -> "Habits":
        """Map what `write_habits` wrote.

        Raises:
            ArtefactError: a file is missing, or is none of ours.
        """
        with reading_artefact(folder):
            return cls(folder)

    def __len__(self) -> int:
        """Return the number of users."""
        return len(self._high)

    def of(self, user: str) -> Habit:
        """Return a user's slice, empty for a user who is not known; the whole hash decides.

        Args:
            user: keyed hash, 32 hex digits.
        """
        place = self._place(user)
        own = slice(0, 0) if place is None else slice(int(self._starts[place]), int(self._starts[place + 1]))
        return Habit(self._rows[own], self._turns[own], self._last_day[own])

    def without(self, users: Collection[str], folder: Path) -> None:
        """Write these habits into another folder, less the slices of some users, who are forgotten.

        Args:
            users: keyed hashes.
            folder: another than the one these habits are read from.
        """
        stays = np.ones(len(self), dtype=bool)
        stays[[place for user in users if (place := self._place(user)) is not None]] = False
        lengths = np.diff(self._starts)
        kept = np.repeat(stays, lengths)
        private = self._rows >= self.shared
        rows = self._rows.copy()
        rows[private & kept] = self.shared + np.arange(np.count_nonzero(private & kept))
        columns = {"rows": rows[kept], "turns": self._turns[kept], "last_day": self._last_day[kept]}
        _save(
            folder, self.shared, {"high": self._high[stays], "low": self._low[stays], "starts": _starts(lengths[stays])} | columns
        )
        self.private.keep(kept[private], folder / "private")

    def _place(self, user: str) -> int | None:
        high, low = _hashes([user])[0]
        first, last = (int(self._high.searchsorted(high, side=side)) for side in ("left", "right"))
        place = first + int(self._low[first:last].searchsorted(low))
        return place if place < last and self._low[place] == low else None


def write_habits(folder: Path, said: Said, private_users: Sequence[str], private: Queries, shared: int, encoder: Encoder) -> None:
    """Write the personal index.

    Args:
        folder: where the files go; made if it is missing.
        said: habits among the rows of the global book, in any order.
        private_users: keyed hash of the user of each private row.
        private: texts that worked for one user and are not in the global book, in any order.
        shared: rows of the global book.
        encoder: what encoded the global book.

    Raises:
        ValueError: columns differ in length, a row is not in the global book, or a hash has not 32 hex digits.
    """
    if len({len(said.users), len(said.rows), len(said.turns), len(said.last_day)}) > 1 or len(private_users) != len(
        private.texts
    ):
        raise ValueError("the columns of the habits differ in length")
    if len(said.rows) and not 0 <= said.rows.min() <= said.rows.max() < shared:
        raise ValueError(f"a habit names a row outside the global book of {shared} rows")
    keys = _hashes([*private_users, *said.users])
    hashes, numbers = np.unique(keys, axis=0, return_inverse=True)
    mine = np.argsort(numbers[: len(private_users)], kind="stable")
    private, numbers[: len(mine)] = private.take(mine), numbers[mine]
    rows = np.concatenate([shared + np.arange(len(mine)), said.rows])
    order = np.lexsort((rows, numbers))
    columns = {
        "high": hashes[:, 0],
        "low": hashes[:, 1],
        "starts": _starts(np.bincount(numbers, minlength=len(hashes))),
        "rows": rows[order],
        "turns": np.concatenate([private.turns, said.turns])[order],
        "last_day": np.concatenate([private.last_day, said.last_day])[order],
    }
    _save(folder, shared, columns)
    write_book(folder / "private", private, encoder)


def _hashes(users: Sequence[str]) -> _Hashes:
    """Read hexadecimal hashes as two numbers each, which sort as the hashes do, (n, 2)."""
    if any(len(user) != _HEX for user in users):
        raise ValueError(f"a keyed hash of a user has {_HEX} hex digits")
    return np.frombuffer(bytes.fromhex("".join(users)), dtype=">u8").reshape(-1, 2).astype(np.uint64)


def _starts(counts: npt.NDArray[np.integer]) -> Ints:
    """Where each slice starts, and where the last one ends, (n + 1,)."""
    return np.concatenate([[0], np.cumsum(counts)]).astype(np.int64)


def _save(folder: Path, shared: int, columns: Mapping[str, npt.NDArray[np.generic]]) -> None:
    folder.mkdir(parents=True, exist_ok=True)
    for name, column in columns.items():
        np.save(folder / f"{name}.npy", column)
    (folder / _HEADER).write_text(json.dumps({"shared": shared}), encoding="utf-8")
