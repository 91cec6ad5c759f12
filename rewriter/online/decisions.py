"""`DecisionLog`: keeps what `Rewriter.rewrite` decided, for the next `learn`, without ever making a request wait.

`DecisionFiles` says which line goes into which file, and `line_of` what stands in a line.
"""

import atexit
import json
import logging
import os
import queue
import secrets
import threading
import time
from collections.abc import Sequence
from contextlib import suppress
from dataclasses import replace
from datetime import UTC, datetime
from pathlib import Path
from types import TracebackType
from typing import Any, NamedTuple
from weakref import WeakSet

from rewriter.artefact.disk import explained
from rewriter.artefact.versions import current
from rewriter.codes import Reason
from rewriter.locks import Lock
from rewriter.online.request import read_user
from rewriter.result import Rewrite
from rewriter.text import hash_user


class Decision(NamedTuple):
    """One decision on its way to the disk.

    Attributes:
        answer: what `Rewriter.rewrite` returned.
        user_id: pseudonym as text; hashed before it is written.
        turn_id: of the turn in the dialogue log; None if it is not known.
        ts_ms: when, epoch milliseconds.
    """

    answer: Rewrite
    user_id: str | None
    turn_id: str | None
    ts_ms: int


class DecisionFiles:
    """Appends to ``<day>-<process>-<number>.jsonl``; a new day or a full file begins a new one.

    Args:
        folder: where they go; made if it is missing.
        key: secret under which user ids are hashed.
        max_bytes: a file longer than this is followed by a new one.

    Raises:
        ArtefactError: the folder cannot be made.
    """

    def __init__(self, folder: Path, key: bytes, max_bytes: int) -> None:
        with explained(folder):
            folder.mkdir(mode=0o700, parents=True, exist_ok=True)
        self._folder, self._key, self._max_bytes = folder, key, max_bytes
        self._handle: int | None = None
        self.leave_to_parent()

    def leave_to_parent(self) -> None:
        """Leave the present file to the process that began it; the next line goes into a file of this process."""
        self.close()  # closes this process's copy of the handle; the parent's stays open
        self._process = secrets.token_hex(4)
        self._number = self._size = 0
        self._day = ""

    def append(self, decisions: Sequence[Decision]) -> int:
        """Write decisions, a line each; return how many cannot be written as a line, whatever the disk does.

        Raises:
            OSError: the disk refuses; none of these lines is in the file.
        """
        lines = [line for line in (_encoded(each, self._key) for each in decisions) if line is not None]
        if lines:
            raw = b"".join(lines)
            day = datetime.fromtimestamp(decisions[0].ts_ms / 1000, UTC).date().isoformat()
            if self._handle is None or day != self._day or self._size >= self._max_bytes:
                self._begin(day)
            try:
                _write(self._handle or 0, raw)
            except OSError:
                try:
                    os.ftruncate(self._handle or 0, self._size)
                except OSError:
                    self.close()  # the next line begins a new file, so that only the last line of this one can be torn
                raise
            self._size += len(raw)
        return len(decisions) - len(lines)

    def sync(self) -> None:
        """Wait until what was written is on the disk."""
        if self._handle is not None:
            os.fsync(self._handle)

    def _begin(self, day: str) -> None:
        self.close()
        path = self._folder / f"{day}-{self._process}-{self._number:04}.jsonl"
        self._handle = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_APPEND, 0o600)
        self._day, self._size = day, 0
        self._number += 1

    def close(self) -> None:
        """Close the present file; the next line begins a new one."""
        if self._handle is not None:
            with suppress(OSError):
                os.close(self._handle)
        self._handle = None


def line_of(decision: Decision, key: bytes) -> dict[str, Any]:
    """Return what a line says of a decision, by the names of the log contract; `sent` is null where nothing was applied."""
    answer, user = decision.answer, decision.user_id
    return {
        "rewrite_id": answer.id,
        "turn_id": decision.turn_id,
        "user_id": hash_user(user, key) if user else None,
        "ts_ms": decision.ts_ms,
        "utterance": answer.source if isinstance(answer.source, str) else None,
        "sent": answer.text if answer.applied else None,
        "reason": answer.reason,
        "rule": answer.rule,
        "layer": answer.layer,
        "scope": answer.scope,
        "score": answer.score,
        "arm": answer.arm,
        "propensity": answer.propensity,
        "artefact": answer.artefact,
    }


def _encoded(decision: Decision, key: bytes) -> bytes | None:
    """Return the line of a decision; None if something in it is none of ours, which must not take other decisions with it."""
    try:
        return (json.dumps(line_of(decision, key), ensure_ascii=False) + "\n").encode("utf-8", "replace")
    except Exception:  # noqa: BLE001 - whatever a caller has put into it
        return None


def _write(handle: int, raw: bytes) -> None:
    left = memoryview(raw)
    while left:
        left = left[os.write(handle, left) :]


class _Asked:
    """Stands in the queue behind the decisions that `flush` waits for."""

    __slots__ = ("done", "on_disk")

    def __init__(self) -> None:
        self.done = threading.Event()
        self.on_disk = False


_END = object()  # stands in the queue behind the last decision
_log = logging.getLogger(__name__)
_TOGETHER = 1_000  # decisions that are written at once
_MAX_TURN_ID = 1_000  # characters


class DecisionLog:
    """Writes decisions as JSON lines, one file for each process and day, readable by their owner only (docs/loop.md).

    A call puts its decision into a queue of bounded length, and a thread writes. If the queue is full, or the disk refuses, the
    decision is dropped and counted: no request ever waits, and none fails. After a kill the last line of a file may be torn; the
    reader passes it over and counts it. User ids are hashed with the key of the artefact. Utterances are cut to the length that
    the artefact answers.

    Safe to use from many threads and across `fork`. `close` ends the thread and closes the file.

    Args:
        folder: where the files go; made if it is missing.
        artefact: the artefact folder that answers, whose key hashes user ids.
        max_bytes: a file longer than this is followed by a new one.
        room: decisions that may wait to be written.

    Raises:
        ArtefactError: the artefact is missing or damaged, or the folder cannot be made.

    Example:
        >>> log = DecisionLog("decisions", artefact="artefact")  # doctest: +SKIP
        >>> answer = rewriter.rewrite("turn of the lamp", user_id="ann")  # doctest: +SKIP
        >>> log.write(answer, user_id="ann", turn_id="t-17")  # doctest: +SKIP
    """

    def __init__(
        self, folder: str | Path, *, artefact: str | Path, max_bytes: int = 64 * 1024 * 1024, room: int = 10_000
    ) -> None:
        manifest = current(artefact).manifest
        self._files = DecisionFiles(Path(folder), bytes.fromhex(manifest.user_key), max_bytes)
        self._room, self._max_chars = room, manifest.max_chars
        self._lock = Lock()
        self._complained = self._closed = False
        self.restart()
        _open.add(self)

    def restart(self) -> None:
        """Begin anew after a fork: what the parent has queued, the parent writes."""
        self._files.leave_to_parent()
        self._queue: queue.Queue[Decision | _Asked | object] = queue.Queue(self._room)
        self._thread: threading.Thread | None = None
        self._dropped = 0
        self._refused = False

    @property
    def dropped(self) -> int:
        """Decisions of this process that were not written."""
        return self._dropped

    def write(self, answer: Rewrite, *, user_id: str | int | None = None, turn_id: str | None = None) -> None:
        """Keep a decision. Never raises and never waits; what is no `Rewrite` is dropped and counted.

        Args:
            answer: what `Rewriter.rewrite` returned.
            user_id: as it was given to `rewrite`.
            turn_id: the id under which the dialogue log will know this turn; None if that log holds ``rewrite_id``.
        """
        try:
            decision = self._bounded(answer, user_id, turn_id)
            if self._closed:
                raise queue.Full
            self._queue.put_nowait(decision)
            if self._thread is None:
                self._start()
        except Exception as error:  # noqa: BLE001 - no request may fail because of its record
            self._drop(1, None if isinstance(error, queue.Full) else error)

    def flush(self, timeout: float = 5.0) -> bool:
        """Wait until what was accepted so far is on the disk; return whether all that came since the last `flush` is.

        Args:
            timeout: seconds to wait at most; then the answer is False.
        """
        asked, end = _Asked(), time.monotonic() + timeout
        if self._thread is None and self._queue.empty():
            return not self._refused
        try:
            self._queue.put(asked, timeout=timeout)
        except queue.Full:
            return False
        self._start()
        return asked.done.wait(max(end - time.monotonic(), 0.0)) and asked.on_disk

    def close(self, timeout: float = 5.0) -> None:
        """Write what waits, end the thread and close the file; decisions that come later are dropped.

        Args:
            timeout: seconds to wait at most.
        """
        self._closed = True
        thread, end = self._thread, time.monotonic() + timeout
        if thread is None:
            return
        with suppress(queue.Full):
            self._queue.put(_END, timeout=timeout)
        thread.join(max(end - time.monotonic(), 0.0))

    def __enter__(self) -> "DecisionLog":
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None) -> None:
        self.close()

    def _bounded(self, answer: Rewrite, user_id: object, turn_id: object) -> Decision:
        """Return a decision that holds no long text, for it may wait in the queue with thousands of others."""
        if not isinstance(answer, Rewrite):
            raise TypeError(f"a decision log keeps what rewrite() returned, not {type(answer).__name__}")
        source = answer.source
        if isinstance(source, str) and str.__len__(source) > self._max_chars:
            cut = str.__getitem__(source, slice(self._max_chars))
            answer = replace(answer, source=cut, text=answer.text if answer.applied else cut)
        user = read_user(user_id)
        turn = turn_id if isinstance(turn_id, str) and str.__len__(turn_id) <= _MAX_TURN_ID else None
        return Decision(answer, None if isinstance(user, Reason) else user, turn, time.time_ns() // 1_000_000)

    def _drop(self, n: int, why: BaseException | None) -> None:
        with self._lock:
            self._dropped += n
            complain, self._complained = why is not None and not self._complained, self._complained or why is not None
        if complain:
            with suppress(Exception):
                _log.warning("decisions are dropped: %s", why)

    def _start(self) -> None:
        with self._lock:
            if self._thread is None:
                self._thread = threading.Thread(target=self._work, name="decision-log", daemon=True)
                self._thread.start()

    def _work(self) -> None:
        ends = False
        while not (ends and self._queue.empty()):
            found = [self._queue.get()]
            with suppress(queue.Empty):
                while len(found) < _TOGETHER:
                    found.append(self._queue.get_nowait())
            self._keep([each for each in found if isinstance(each, Decision)])
            for asked in (each for each in found if isinstance(each, _Asked)):
                asked.on_disk = self._synced() and not self._refused
                self._refused = False
                asked.done.set()
            ends = ends or any(each is _END for each in found)
        self._synced()
        self._files.close()
        self._thread = None

    def _keep(self, decisions: list[Decision]) -> None:
        try:
            odd = self._files.append(decisions)
        except Exception as error:  # noqa: BLE001 - whatever is wrong with the disk, requests go on
            self._refused = True
            self._drop(len(decisions), error)
            return
        if odd:
            self._drop(odd, TypeError(f"{odd} of them cannot be written as JSON"))
        elif decisions:
            self._complained = False

    def _synced(self) -> bool:
        try:
            self._files.sync()
        except OSError:
            return False
        return True


_open: WeakSet[DecisionLog] = WeakSet()


def _restart_all() -> None:
    for log in list(_open):
        log.restart()


def _close_all() -> None:
    for log in list(_open):
        log.close(timeout=1.0)


atexit.register(_close_all)
if hasattr(os, "register_at_fork"):  # Windows has no fork
    os.register_at_fork(after_in_child=_restart_all)
