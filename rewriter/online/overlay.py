"""`Overlay`: what users said of single rewrites. Every request that would be rewritten asks it, so that an undo teaches at once.

The file ``state/feedback.jsonl`` is the truth (`rewriter.artefact.feedback`). So that no request reads it, its last words are
kept in an index that all processes of a machine share: an LMDB file in the folder for temporary files, from which a look-up takes
microseconds however much was said. Whoever first sees that the file has grown adds what is new; if the file is another, the index
is made anew. The index does not lie in the artefact folder, because a memory map of a file that somebody copies over kills the
process.

If no index can be made (no folder for temporary files, or a full disk), each process keeps the last words of the end of the file
in its memory, and looks undos up there.
"""

import logging
import os
import struct
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from functools import lru_cache
from hashlib import blake2b
from pathlib import Path
from typing import Any, Final, NamedTuple

import lmdb

from rewriter.artefact.feedback import FILE, MAX_LINE, Word, append, parse, whole_lines
from rewriter.errors import RequestError
from rewriter.locks import Lock

__all__ = ["FILE", "MAX_A_DAY", "Overlay", "mark_of"]

MAX_A_DAY: Final = 200
"""Words of one user in a day. A person says a few; the bound keeps a script from filling the disk."""
_MAX_IN_MEMORY: Final = 1 << 22
"""Bytes of the end of the file that are kept in memory where no index can be made: about 28,000 words, read in 0.1 s."""
_MOST_IN_MEMORY: Final = 100_000
"""Entries in memory at which only the end of the file is kept anew: tens of megabytes."""
_DAY_MS = 86_400_000
_MAP_SIZE = 1 << 32  # address space of an index, bytes: tens of millions of words; costs nothing on disk
_READERS = 4_096  # threads of all processes that may look something up at the same moment
_META = b"meta"
_SAID = struct.Struct("<qb")  # epoch milliseconds, value
_COUNT = struct.Struct("<qI")  # day, words on it

_log = logging.getLogger(__name__)


def mark_of(source: str, target: str) -> str:
    """Return a name for the rewrite of a normalised text to another: 12 hex digits, the same in every process and version.

    It is the end of the id of a decision, so that feedback needs nothing but that id, in whatever process, at any time.
    """
    return blake2b(f"{source}\0{target}".encode("utf-8", "surrogatepass"), digest_size=6).hexdigest()


class _Seen(NamedTuple):
    """A state of the file."""

    device: int
    inode: int
    size: int


_NO_FILE = _Seen(0, 0, 0)


class Overlay:
    """What users said of single rewrites. Safe to use from many threads and processes, and across `fork`.

    Args:
        path: the file, only ever appended to; need not be there.
    """

    __slots__ = ("_index", "_lock", "_memory", "_path", "_seen")

    def __init__(self, path: Path) -> None:
        self._path = str(path)
        self._index = ""
        self._memory = _Memory()
        self._seen = _NO_FILE
        self._lock = Lock()
        self._catch_up()  # so that no request waits for it

    def refuses(self, user: str, mark: str) -> bool:
        """Return whether a user has undone a rewrite, by the last word.

        Args:
            user: keyed hash; empty for nobody, who has undone nothing.
            mark: of the rewrite.
        """
        found = self._look_up(_key(user, mark)) if user and self._catch_up() else None
        return found is not None and _SAID.unpack(found)[1] < 0

    def add(self, user: str, rewrite_id: str, value: int, now_ms: int) -> None:
        """Keep what a user says of a decision; of one rewrite the last word counts.

        Args:
            user: keyed hash.
            rewrite_id: `Rewrite.id`.
            value: -1, 0 or 1.
            now_ms: epoch milliseconds.

        Raises:
            RequestError: the user has said `MAX_A_DAY` words today.
            ArtefactError: the disk refuses.
        """
        if self._catch_up():
            day, words = _COUNT.unpack(self._look_up(_key(user, "")) or _COUNT.pack(0, 0))
            if day == now_ms // _DAY_MS and words >= MAX_A_DAY:
                raise RequestError(f"feedback of one user ends at {MAX_A_DAY} words a day, and this user has said as many today")
        append(Path(self._path), Word(user, rewrite_id, value, now_ms))
        self._catch_up()

    def _look_up(self, key: bytes) -> bytes | None:
        """Return what the index holds under a key; what the end of the file holds if there is no index, or it fails."""
        if self._index:
            try:
                with _transaction(self._index) as (view, _):
                    if view.get(_META):
                        found = view.get(key)
                        return None if found is None else bytes(found)
                failure: object = "the index was removed"
            except (OSError, lmdb.Error) as error:
                failure = error
            with self._lock:
                self._do_without_index(failure)
        return self._memory.get(key)

    def _catch_up(self) -> bool:
        """Read what was added to the file, and return whether there is a file; microseconds if it is as it was."""
        try:
            found = _seen(os.stat(self._path))  # noqa: PTH116 - half the time of Path.stat, at every request
        except OSError:
            return False
        if found == self._seen:
            return True
        with self._lock:
            if found != self._seen:
                path = Path(self._path)
                try:
                    index = _index_of(path)
                    self._seen = _extend(index, path)
                    self._index = index
                except (OSError, lmdb.Error) as error:  # tried again when the file is another
                    self._seen = found
                    self._do_without_index(error)
        return True

    def _do_without_index(self, failure: object) -> None:
        if not self._memory:  # one warning, not one for each change of the file
            _log.warning("no index of %s (%s): undos are looked up in its last %d bytes", self._path, failure, _MAX_IN_MEMORY)
        self._index = ""
        try:
            self._memory = self._memory.extended(Path(self._path))
        except OSError as error:
            _log.warning("what users said in %s cannot be read: %s", self._path, error)


class _Memory:
    """The last words at the end of a file, under the same keys as in an index."""

    __slots__ = ("_check", "_end", "_file", "_rows")

    def __init__(self) -> None:
        self._rows: dict[bytes, bytes] = {}
        self._file, self._end, self._check = (0, 0), 0, b""

    def __len__(self) -> int:
        return len(self._rows)

    def get(self, key: bytes) -> bytes | None:
        """Return what stands under a key."""
        return self._rows.get(key)

    def put(self, key: bytes, row: bytes) -> None:
        """Write what stands under a key."""
        self._rows[key] = row

    def extended(self, path: Path) -> "_Memory":
        """Return the words of the file as it is now: this object with what was added, or another one if the file is another."""
        with path.open("rb") as file:
            found = _seen(os.fstat(file.fileno()))
            same = self._file == found[:2] and self._end <= found.size <= self._end + _MAX_IN_MEMORY
            same = same and len(self) < _MOST_IN_MEMORY and self._check == _check(file.fileno(), self._end)
            new = self if same else _Memory()
            start = self._end if same else max(found.size - _MAX_IN_MEMORY, 0)
            file.seek(start)
            for line, end in whole_lines(file):  # the first line may be half a one, which `parse` refuses
                new._end = end
                if (word := parse(line)) is not None:
                    _put(new, word)
            new._file, new._end = found[:2], max(new._end, start)
            new._check = _check(file.fileno(), new._end)
        return new


def _seen(found: os.stat_result) -> _Seen:
    return _Seen(found.st_dev, found.st_ino, found.st_size)


def _key(user: str, mark: str) -> bytes:
    """Return the key of a user's last word on a rewrite, or of the number of words today; it names nobody."""
    return blake2b(f"{user}\0{mark}".encode(), digest_size=16).digest()


class _Meta(NamedTuple):
    """How far an index has read its file.

    Attributes:
        device: of the file.
        inode: of the file.
        end: bytes that were read.
        check: hash of the last bytes that were read, to see that the file was only appended to.
    """

    device: int
    inode: int
    end: int
    check: bytes


_META_ROW = struct.Struct("<QQQ16s")


def _extend(index: str, path: Path) -> _Seen:
    """Add to an index what was added to the file, or make it anew if the file is another; return the state that was read."""
    with path.open("rb") as file, _transaction(index, write=True) as (edit, rows):  # one at a time, and the next finds it done
        found = _seen(os.fstat(file.fileno()))
        row = edit.get(_META)
        known = _Meta(*_META_ROW.unpack(row)) if row and len(row) == _META_ROW.size else _Meta(0, 0, 0, b"")
        end = known.end
        if known[:2] != found[:2] or end > found.size or known.check != _check(file.fileno(), end):
            edit.drop(rows, delete=False)
            end = 0
        file.seek(end)
        for line, end in whole_lines(file):  # noqa: B007 - the end of the last whole line is kept
            word = parse(line)
            if word is not None:
                _put(edit, word)
        edit.put(_META, _META_ROW.pack(found.device, found.inode, end, _check(file.fileno(), end)))
    return found


def _check(handle: int, end: int) -> bytes:
    start = max(end - MAX_LINE, 0)
    return blake2b(os.pread(handle, end - start, start), digest_size=16).digest()


def _put(edit: "lmdb.Transaction | _Memory", word: Word) -> None:
    mark = word.rewrite_id.rpartition("-")[2]
    key, today = _key(word.user, mark), _key(word.user, "")
    before = edit.get(key)
    if before is None or word.ts_ms >= _SAID.unpack(before)[0]:
        edit.put(key, _SAID.pack(word.ts_ms, word.value))
    day, words = _COUNT.unpack(edit.get(today) or _COUNT.pack(0, 0))
    this = word.ts_ms // _DAY_MS
    if this >= day:
        edit.put(today, _COUNT.pack(this, words + 1 if this == day else 1))


# The indexes that this process has open. LMDB allows a file to be opened once in a process, and not to be used in a forked child:
# before a fork all are closed, and parent and child open them again when they need them.
_open: dict[str, lmdb.Environment] = {}
_using = Lock()


@contextmanager
def _transaction(index: str, *, write: bool = False) -> Iterator[tuple[lmdb.Transaction, Any]]:
    """Read an index, or edit it while no other process does; yields the transaction and its table."""
    with _using:
        env = _open.get(index)
        if env is None:
            env = lmdb.open(index, subdir=False, map_size=_MAP_SIZE, max_readers=_READERS, mode=0o600)
            env.reader_check()  # gives back the places of processes that were killed
            _open[index] = env
        rows = env.open_db()
        with env.begin(write=write) as transaction:
            yield transaction, rows


def _close_before_fork() -> None:
    _using.acquire()
    while _open:
        _open.popitem()[1].close()


if hasattr(os, "register_at_fork"):  # Windows has no fork
    os.register_at_fork(before=_close_before_fork, after_in_parent=_using.release)  # in the child every `Lock` is free


def _index_of(path: Path) -> str:
    """Return where the index of a file lies; another folder of the same name has another index."""
    folder = path.parent.stat()
    name = f"{path.resolve()}\0{folder.st_dev}\0{folder.st_ino}"
    return str(_folder() / f"{blake2b(name.encode('utf-8', 'surrogatepass'), digest_size=16).hexdigest()}.mdb")


@lru_cache(maxsize=1)
def _folder() -> Path:
    """Return the folder of indexes, which only this account may read; one for this process if another account made it."""
    folder = Path(tempfile.gettempdir(), f"rewriter-feedback-{getattr(os, 'getuid', int)()}")
    folder.mkdir(mode=0o700, exist_ok=True)
    found = folder.lstat()
    if hasattr(os, "getuid") and (found.st_uid != os.getuid() or found.st_mode & 0o77 or folder.is_symlink()):
        return Path(tempfile.mkdtemp(prefix="rewriter-feedback-"))
    return folder
