"""`state/taught.db`: what users taught, in an SQLite file that every process of a machine reads and writes.

SQLite is chosen because it does what this file needs: a write is whole or not there after a kill, the next reader of any process
sees it, a look-up by key takes microseconds however much was taught, and deleted rows are overwritten. The file is not mapped, so
copying over it ends no process. User ids stand in it as keyed hashes, texts as they were taught; only its owner may read it.

What is wrong with the file never fails a request: reading returns nothing, and a warning is logged once.
"""

import json
import logging
import os
import sqlite3
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Final, NamedTuple

from rewriter.artefact.disk import explained
from rewriter.errors import CURE_STATE, ArtefactError
from rewriter.locks import Lock

FILE: Final = "taught.db"
"""Its name in the folder ``state`` of an artefact."""
_WAIT_TO_READ: Final = 0.2
"""Seconds that a request waits for a writer; a write holds the file for some milliseconds."""
_WAIT_TO_WRITE: Final = 10.0
_SCHEMA: Final = """
CREATE TABLE IF NOT EXISTS lessons (
  owner TEXT NOT NULL, said TEXT NOT NULL, locale TEXT NOT NULL, id TEXT NOT NULL UNIQUE, author TEXT NOT NULL,
  steps TEXT NOT NULL, joined_by TEXT NOT NULL, ts_ms INTEGER NOT NULL, PRIMARY KEY (owner, said, locale)
) WITHOUT ROWID;
CREATE TABLE IF NOT EXISTS preferences (
  owner TEXT NOT NULL, slot TEXT NOT NULL, value TEXT NOT NULL, over TEXT NOT NULL, id TEXT NOT NULL UNIQUE, before TEXT NOT NULL,
  ts_ms INTEGER NOT NULL, PRIMARY KEY (owner, slot, value, over)
) WITHOUT ROWID;
CREATE TABLE IF NOT EXISTS refusals (
  owner TEXT NOT NULL, said TEXT NOT NULL, meant TEXT NOT NULL, ts_ms INTEGER NOT NULL, PRIMARY KEY (owner, said, meant)
) WITHOUT ROWID;
"""
_OWNED: Final = {"lessons": ("owner", "author"), "preferences": ("owner",), "refusals": ("owner",)}
"""Table -> the columns that hold keyed hashes. `TaughtStore.forget` walks it."""

_log = logging.getLogger(__name__)


class TaughtLesson(NamedTuple):
    """A row of the lessons.

    Attributes:
        owner: keyed hash of the user or household for whom it holds.
        said: what is said, normalised.
        locale: BCP 47.
        id: 16 hex digits.
        author: keyed hash of the user who taught it; empty if a household's lesson names nobody.
        steps: what is meant, in order, spelled as it was taught.
        joined_by: what stands between the steps; empty for one step.
        ts_ms: when, epoch milliseconds.
    """

    owner: str
    said: str
    locale: str
    id: str
    author: str
    steps: tuple[str, ...]
    joined_by: str
    ts_ms: int


class TaughtPreference(NamedTuple):
    """A row of the preferences.

    Attributes:
        owner: keyed hash of the user.
        slot: its name.
        value: normalised.
        over: the only value that it is preferred to, normalised; empty for all others.
        id: 16 hex digits.
        before: hash of each value of the slot, as decimal digits -> the user's turns with it when the preference was stated.
        ts_ms: when, epoch milliseconds.
    """

    owner: str
    slot: str
    value: str
    over: str
    id: str
    before: Mapping[str, float]
    ts_ms: int


_PREFERENCE: Final = ", ".join(TaughtPreference._fields)
_LESSON: Final = ", ".join(TaughtLesson._fields)


class TaughtStore:
    """What users of one artefact folder taught. Safe to use from many threads and processes, and across `fork`.

    Args:
        path: the file; need not be there, and is made by the first write.

    Example:
        >>> import tempfile
        >>> taught = TaughtStore(Path(tempfile.mkdtemp()) / "state" / FILE)
        >>> taught.teach(TaughtLesson("5f", "movie time", "en", "1", "5f", ("turn on the tv",), "", 0), most=200)
        True
        >>> taught.lessons_on("5f", "movie time")[0].steps, taught.lessons_on("60", "movie time")
        (('turn on the tv',), [])
    """

    __slots__ = ("_complained", "_path")

    def __init__(self, path: Path) -> None:
        self._path = str(path)
        self._complained = False

    def is_there(self) -> bool:
        """Return whether anybody has taught anything yet: whether there is a file."""
        return os.path.exists(self._path)  # noqa: PTH110 - a fraction of the time of Path.exists, at every request

    def lessons_on(self, owner: str, said: str) -> list[TaughtLesson]:
        """Return the lessons of a user or household on a normalised text, one for each locale."""
        return _lessons(self._read(f"SELECT {_LESSON} FROM lessons WHERE owner = ? AND said = ?", owner, said))

    def lessons(self, owner: str) -> list[TaughtLesson]:
        """Return all lessons of a user or household, the oldest first."""
        return _lessons(self._read(f"SELECT {_LESSON} FROM lessons WHERE owner = ? ORDER BY ts_ms, id", owner))

    def lesson(self, id_: str) -> TaughtLesson | None:
        """Return the lesson of an id; None if there is none."""
        return next(iter(_lessons(self._read(f"SELECT {_LESSON} FROM lessons WHERE id = ?", id_))), None)

    def teach(self, lesson: TaughtLesson, *, most: int) -> bool:
        """Keep a lesson in place of an older one on the same text; return whether there was room for it.

        Args:
            lesson: the row.
            most: lessons that a user or household may have.

        Raises:
            ArtefactError: the disk refuses, or the file is damaged.
        """
        return self._put("lessons", lesson._replace(steps=json.dumps(lesson.steps)), 3, most)  # type: ignore[arg-type]

    def preferences(self, owner: str) -> list[TaughtPreference]:
        """Return what a user said to prefer, the oldest first."""
        return _preferences(self._read(f"SELECT {_PREFERENCE} FROM preferences WHERE owner = ? ORDER BY ts_ms, id", owner))

    def prefer(self, preference: TaughtPreference, *, most: int) -> bool:
        """Keep a preference in place of the same one of before; return whether there was room for it.

        Args:
            preference: the row.
            most: preferences that a user may have.

        Raises:
            ArtefactError: the disk refuses, or the file is damaged.
        """
        return self._put("preferences", preference._replace(before=json.dumps(preference.before)), 4, most)  # type: ignore[arg-type]

    def refused(self, owner: str, said: str, meant: str) -> bool:
        """Return whether a user has refused to teach that one normalised text means another."""
        query = "SELECT 1 FROM refusals WHERE owner = ? AND said = ? AND meant = ?"
        return bool(self._read(query, owner, said, meant))

    def refuse(self, owner: str, said: str, meant: str, ts_ms: int, *, most: int) -> None:
        """Remember that a user refused to teach that one normalised text means another; beyond `most` the oldest go.

        Raises:
            ArtefactError: the disk refuses, or the file is damaged.
        """
        with self._writing() as edit:
            edit.execute("INSERT OR REPLACE INTO refusals VALUES (?, ?, ?, ?)", (owner, said, meant, ts_ms))
            edit.execute(
                "DELETE FROM refusals WHERE owner = ?1 AND (said, meant) NOT IN"
                " (SELECT said, meant FROM refusals WHERE owner = ?1 ORDER BY ts_ms DESC LIMIT ?2)",
                (owner, most),
            )

    def _put(self, table: str, row: TaughtLesson | TaughtPreference, key: int, most: int) -> bool:
        """Write a row in place of the one with the same first `key` columns, if its owner has fewer than `most` others."""
        where = " AND ".join(f"{name} = ?" for name in row._fields[:key])
        with self._writing() as edit:
            edit.execute(f"DELETE FROM {table} WHERE {where}", row[:key])
            (kept,) = edit.execute(f"SELECT COUNT(*) FROM {table} WHERE owner = ?", row[:1]).fetchone()
            if kept >= most:
                edit.execute("ROLLBACK")
                return False
            edit.execute(f"INSERT INTO {table} ({', '.join(row._fields)}) VALUES ({', '.join('?' * len(row))})", row)
        return True

    def unteach(self, id_: str) -> bool:
        """Remove what has an id; return whether there was anything.

        Raises:
            ArtefactError: the disk refuses, or the file is damaged.
        """
        if not Path(self._path).exists():
            return False
        with self._writing() as edit:
            return (
                sum(edit.execute(f"DELETE FROM {table} WHERE id = ?", (id_,)).rowcount for table in ("lessons", "preferences"))
                > 0
            )

    def counts(self) -> tuple[int, int]:
        """Return the numbers of all lessons and of all preferences; zeros if there is no file, or if it cannot be read."""
        found = [self._read(f"SELECT COUNT(*) FROM {table}") for table in ("lessons", "preferences")]
        lessons, preferences = (int(str(rows[0][0])) if rows else 0 for rows in found)
        return lessons, preferences

    def forget(self, owners: Sequence[str]) -> int:
        """Remove all rows of some users or households, and overwrite them on the disk; return how many.

        Args:
            owners: keyed hashes.

        Raises:
            ArtefactError: the disk refuses, or the file is damaged.
        """
        if not Path(self._path).exists():
            return 0
        with self._writing() as edit:
            return sum(
                edit.execute(f"DELETE FROM {table} WHERE {' OR '.join(f'{name} = ?' for name in names)}", (owner,) * len(names))
                .rowcount
                for owner in owners
                for table, names in _OWNED.items()
            )  # fmt: skip

    def _read(self, query: str, *values: object) -> list[tuple[object, ...]]:
        """Return the rows of a SELECT; none if there is no file, or if it cannot be read."""
        try:
            found = os.stat(self._path)  # noqa: PTH116 - half the time of Path.stat, at every request
        except OSError:
            return []
        try:
            with _using:
                con = _connected(self._path, (found.st_dev, found.st_ino))
                return con.execute(query, values).fetchall()
        except sqlite3.Error as error:
            if "no such table" in str(error):  # of an older release that wrote none of these
                return []
            if not self._complained:
                self._complained = True
                _log.warning("what users taught in %s cannot be read, and is passed over: %s", self._path, error)
            return []

    @contextmanager
    def _writing(self) -> Iterator[sqlite3.Connection]:
        """Edit the file in one transaction; it is on the disk, whole, when the block ends."""
        path = Path(self._path)
        with explained(path):
            path.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
            with suppress(FileExistsError):  # SQLite would make it readable for others
                os.close(os.open(path, os.O_RDWR | os.O_CREAT | os.O_EXCL, 0o600))
        try:
            con = sqlite3.connect(path, timeout=_WAIT_TO_WRITE, isolation_level=None)
            try:
                con.execute("PRAGMA secure_delete = ON")
                con.execute("PRAGMA synchronous = FULL")
                con.executescript(_SCHEMA)
                con.execute("BEGIN IMMEDIATE")
                with con:  # commits, or rolls back what an exception interrupts
                    yield con
            finally:
                con.close()
        except sqlite3.Error as error:
            raise ArtefactError(f"cannot write {path}: {error}; free some space, or {CURE_STATE}") from error


def _lessons(rows: Sequence[tuple[object, ...]]) -> list[TaughtLesson]:
    """Return rows of the file as lessons; a row that is none of ours is passed over."""
    found = []
    for row in rows:
        with suppress(ValueError, TypeError, RecursionError):
            lesson = TaughtLesson(*row)  # type: ignore[arg-type]
            steps = json.loads(str(lesson.steps))
            if steps and isinstance(steps, list) and all(isinstance(step, str) and step for step in steps):
                found.append(lesson._replace(steps=tuple(steps)))
    return found


def _preferences(rows: Sequence[tuple[object, ...]]) -> list[TaughtPreference]:
    """Return rows of the file as preferences; a row that is none of ours is passed over."""
    found = []
    for row in rows:
        with suppress(ValueError, TypeError, RecursionError):
            preference = TaughtPreference(*row)  # type: ignore[arg-type]
            before = json.loads(str(preference.before))
            if isinstance(before, dict) and all(isinstance(turns, (int, float)) for turns in before.values()):
                found.append(preference._replace(before=before))
    return found


# One connection of this process for each file that it reads. SQLite forbids to use one in a forked child: before a fork all are
# closed, and parent and child open them again when they need them.
_open: dict[str, tuple[tuple[int, int], sqlite3.Connection]] = {}
_using = Lock()


def _connected(path: str, file: tuple[int, int]) -> sqlite3.Connection:
    """Return the connection to a file, given as device and inode; the caller holds `_using`."""
    known = _open.get(path)
    if known is not None:
        if known[0] == file:
            return known[1]
        del _open[path]  # another file has taken the place of the one that was opened
        known[1].close()
    con = sqlite3.connect(path, timeout=_WAIT_TO_READ, isolation_level=None, check_same_thread=False)
    _open[path] = file, con
    return con


def _close_before_fork() -> None:
    _using.acquire()
    while _open:
        _open.popitem()[1][1].close()


if hasattr(os, "register_at_fork"):  # Windows has no fork
    os.register_at_fork(before=_close_before_fork, after_in_parent=_using.release)  # in the child every `Lock` is free
