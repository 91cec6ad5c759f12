"""`state/feedback.jsonl`: what users said of single decisions, one JSON line each. Serving appends, `learn` reads.

Of two words on one thing the later counts, by `ts_ms`, and by the place in the file if both have the same. So that a clock that
is set back changes nothing, `append` never writes an earlier time than that of the line before.
"""

import json
import os
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import BinaryIO, Final, NamedTuple

from rewriter.artefact.disk import explained, sync

try:
    import fcntl
except ImportError:  # Windows has none: there one process writes
    fcntl = None  # type: ignore[assignment]

FILE: Final = "feedback.jsonl"
"""Its name in the folder ``state`` of an artefact."""
MAX_LINE: Final = 1_024
"""Bytes of a line. Ours have about 150; a longer one is none of ours."""
_LATEST = 1 << 53  # epoch milliseconds that a line may hold: a number that every reader of JSON takes exactly


class Word(NamedTuple):
    """What a user said of a decision.

    Attributes:
        user: keyed hash.
        rewrite_id: `Rewrite.id`.
        value: -1 for undone or wrong, 1 for right, 0 to take back what was said.
        ts_ms: when, epoch milliseconds.
    """

    user: str
    rewrite_id: str
    value: int
    ts_ms: int


def parse(line: bytes) -> Word | None:
    """Return what a line says; None if it is none of ours, whatever stands in it.

    Example:
        >>> parse(b'{"user_id": "5f", "rewrite_id": "a-1", "value": -1, "ts_ms": 1767225600000}')
        Word(user='5f', rewrite_id='a-1', value=-1, ts_ms=1767225600000)
        >>> parse(b'{"user_id": ["5f"], "rewrite_id": "a-1", "value": -1, "ts_ms": 1767225600000}')
    """
    if len(line) > MAX_LINE:
        return None
    try:
        said = json.loads(line)
        word = Word(said["user_id"], said["rewrite_id"], said["value"], said["ts_ms"])
    except (ValueError, LookupError, TypeError, RecursionError):
        return None
    texts = all(isinstance(text, str) and text and text.isprintable() for text in word[:2])
    numbers = all(type(number) is int for number in word[2:])  # a bool is none
    return word if texts and numbers and word.value in (-1, 0, 1) and 0 <= word.ts_ms < _LATEST else None


def whole_lines(file: BinaryIO) -> Iterator[tuple[bytes, int]]:
    """Yield each line from where a file stands on, and where it ends; not a last one that is still being written.

    Of a line longer than `MAX_LINE` the beginning is passed over, so that no line fills the memory.
    """
    end = file.tell()
    while piece := file.readline(MAX_LINE + 1):
        end += len(piece)
        if piece.endswith(b"\n"):
            yield piece, end


def last_words(path: Path) -> dict[tuple[str, str], int]:
    """Return the last word of each user on each decision: (keyed hash, `Rewrite.id`) -> -1, 0 or 1.

    Args:
        path: the file.
    """
    found: dict[tuple[str, str], Word] = {}
    with path.open("rb") as file:
        for line, _ in whole_lines(file):
            word = parse(line)
            if word is not None and word.ts_ms >= found.get(word[:2], word).ts_ms:
                found[word[:2]] = word
    return {of: word.value for of, word in found.items()}


def append(path: Path, word: Word) -> None:
    """Add one line, whole or not at all, and wait until it is on the disk.

    Args:
        path: the file; made if it is missing, readable by its owner only.
        word: what is said. Its time is raised above that of the line before it.

    Raises:
        ArtefactError: the disk refuses.
    """
    with explained(path):
        path.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
        with _locked(path) as handle:
            size = os.fstat(handle).st_size
            tail = os.pread(handle, 2 * MAX_LINE, max(size - 2 * MAX_LINE, 0))
            before = max((said.ts_ms for said in map(parse, tail.split(b"\n")) if said), default=-1)
            line = {
                "user_id": word.user,
                "rewrite_id": word.rewrite_id,
                "value": word.value,
                "ts_ms": max(word.ts_ms, before + 1),
            }
            torn = bool(tail) and not tail.endswith(b"\n")  # what a kill left; our line begins on its own
            try:
                _write(handle, b"\n" * torn + json.dumps(line).encode() + b"\n")
                os.fsync(handle)
            except OSError:
                with suppress(OSError):
                    os.ftruncate(handle, size)  # nobody else writes meanwhile
                raise


def without(path: Path, user: str) -> int:
    """Take all lines of a user out, while nobody appends; return how many. What is no line of ours stays.

    Args:
        path: the file; need not be there.
        user: keyed hash.

    Raises:
        ArtefactError: the disk refuses.
    """
    if not path.exists():
        return 0
    with explained(path), _locked(path):
        lines = path.read_bytes().splitlines(keepends=True)
        kept = [line for line in lines if user.encode() not in line]
        if len(kept) < len(lines):
            new = path.with_name(path.name + ".new")
            new.unlink(missing_ok=True)
            new.touch(mode=0o600)
            new.write_bytes(b"".join(kept))
            sync(new)
            new.replace(path)
            sync(path.parent)
    return len(lines) - len(kept)


def _write(handle: int, raw: bytes) -> None:
    left = memoryview(raw)
    while left:
        left = left[os.write(handle, left) :]


@contextmanager
def _locked(path: Path) -> Iterator[int]:
    """Open the file to append to it, and hold its lock; it dies with the process, however that ends."""
    while True:
        handle = os.open(path, os.O_RDWR | os.O_CREAT | os.O_APPEND, 0o600)
        try:
            if fcntl is not None:
                fcntl.flock(handle, fcntl.LOCK_EX)
            with suppress(FileNotFoundError):
                if os.path.samestat(os.fstat(handle), path.stat()):  # else `without` has replaced it while we waited
                    yield handle
                    return
        finally:
            if fcntl is not None:
                fcntl.flock(handle, fcntl.LOCK_UN)  # a forked child may hold a copy of the handle
            os.close(handle)
