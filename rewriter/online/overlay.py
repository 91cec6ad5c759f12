"""`Overlay`: what users said of single rewrites. Every process reads it before rules, so that an undo teaches at once."""

import json
import os
import threading
import time
from hashlib import blake2b
from pathlib import Path

from rewriter.artefact.disk import explained

FILE = "feedback.jsonl"
"""Its name in the folder ``state`` of an artefact."""

_NOTHING: frozenset[str] = frozenset()


def mark_of(source: str, target: str) -> str:
    """Return a name for the rewrite of a normalised text to another: 12 hex digits, the same in every process and version.

    It is the end of the id of a decision, so that feedback needs nothing but that id, in whatever process, at any time.
    """
    return blake2b(f"{source}\0{target}".encode("utf-8", "surrogatepass"), digest_size=6).hexdigest()


class Overlay:
    """One file of JSON lines for all users, only ever appended to; who would rewrite looks whether it has grown (microseconds).

    Args:
        path: the file; need not be there.
    """

    __slots__ = ("_lock", "_path", "_seen", "_size", "_undone_by_user")

    def __init__(self, path: Path) -> None:
        self._path = str(path)
        self._undone_by_user: dict[str, frozenset[str]] = {}
        self._seen, self._size = (0, 0), 0
        self._lock = threading.Lock()

    def undone_by_user(self, user: str) -> frozenset[str]:
        """Return the marks of the rewrites that a user does not want.

        Args:
            user: keyed hash.
        """
        try:
            found = os.stat(self._path)  # noqa: PTH116 - half the time of Path.stat, at every request
        except OSError:
            return _NOTHING
        if (found.st_ino, found.st_size) != self._seen:
            self._read(found)
        return self._undone_by_user.get(user, _NOTHING)

    def refuses(self, user: str, mark: str) -> bool:
        """Return whether a user does not want a rewrite; nobody refuses nothing.

        Args:
            user: keyed hash; empty for nobody.
            mark: of the rewrite.
        """
        return bool(user) and mark in self.undone_by_user(user)

    def add(self, user: str, rewrite_id: str, value: int) -> None:
        """Keep what a user says of a decision; of one rewrite the last word counts.

        Args:
            user: keyed hash.
            rewrite_id: `Rewrite.id`.
            value: -1, 0 or 1.

        Raises:
            ArtefactError: the disk refuses.
        """
        line = {"user_id": user, "rewrite_id": rewrite_id, "value": value, "ts_ms": time.time_ns() // 1_000_000}
        path = Path(self._path)
        with explained(path):
            path.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
            handle = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_APPEND, 0o600)
            try:
                os.write(handle, (json.dumps(line) + "\n").encode())
                os.fsync(handle)
            finally:
                os.close(handle)

    def _read(self, found: os.stat_result) -> None:
        """Read what was added; all of it where the file is another, or has been cut."""
        with self._lock:
            grown = found.st_ino == self._seen[0] and found.st_size >= self._size
            undone_by_user = dict(self._undone_by_user) if grown else {}
            start = self._size if grown else 0
            with Path(self._path).open("rb") as file:
                file.seek(start)
                raw = file.read(found.st_size - start)
            whole = raw[: raw.rfind(b"\n") + 1]  # what another process is still writing is read the next time
            for line in whole.splitlines():
                _apply(line, undone_by_user)
            self._undone_by_user, self._seen, self._size = undone_by_user, (found.st_ino, found.st_size), start + len(whole)


def _apply(line: bytes, undone_by_user: dict[str, frozenset[str]]) -> None:
    """Take one line in; what is no line of ours says nothing."""
    try:
        said = json.loads(line)
        user, mark, value = said["user_id"], said["rewrite_id"].rpartition("-")[2], said["value"]
    except (ValueError, KeyError, TypeError, AttributeError):
        return
    others = undone_by_user.get(user, _NOTHING)
    undone_by_user[user] = others | {mark} if value == -1 else others - {mark}
