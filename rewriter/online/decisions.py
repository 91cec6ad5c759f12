"""`DecisionLog`: keeps what `Rewriter.rewrite` decided, for the next `learn`, without ever making a request wait.

The files of a decision log: which line goes into which, and what stands in a line.
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
from datetime import UTC, datetime
from pathlib import Path
from types import TracebackType
from typing import Any, NamedTuple
from weakref import WeakSet

from rewriter.artefact.disk import explained
from rewriter.artefact.versions import current
from rewriter.result import Rewrite
from rewriter.text import hash_user


class Decision(NamedTuple):
    """One decision on its way to the disk.

    Attributes:
        answer: what `Rewriter.rewrite` returned.
        user_id: pseudonym as it was given; hashed before it is written.
        turn_id: of the turn in the dialogue log.
        ts_ms: when, epoch milliseconds.
    """

    answer: Rewrite
    user_id: str | None
    turn_id: str | None
    ts_ms: int


class DecisionFiles:
    """Appends to ``<day>-<process>-<number>.jsonl``; a new day, a full file or an error begins a new one.

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
        self.forget()

    def forget(self) -> None:
        """Leave the present file to the process that began it."""
        if self._handle is not None:
            os.close(self._handle)  # the child's copy of the number; the parent's stays open
        self._handle = None
        self._process = secrets.token_hex(4)
        self._number = self._size = 0
        self._day = ""

    def append(self, decisions: Sequence[Decision]) -> None:
        """Write decisions, a line each.

        Raises:
            OSError: the disk refuses; the next call begins a new file, so that only the last line of a file can be torn.
        """
        if not decisions:
            return
        data = "".join(json.dumps(line_of(each, self._key), ensure_ascii=False) + "\n" for each in decisions)
        raw = data.encode("utf-8", "replace")
        day = datetime.fromtimestamp(decisions[0].ts_ms / 1000, UTC).date().isoformat()
        if self._handle is None or day != self._day or self._size >= self._max_bytes:
            self._begin(day)
        try:
            _write(self._handle or 0, raw)
        except OSError:
            self._end()
            raise
        self._size += len(raw)

    def sync(self) -> None:
        """Wait until what was written is on the disk."""
        if self._handle is not None:
            os.fsync(self._handle)

    def _begin(self, day: str) -> None:
        self._end()
        path = self._folder / f"{day}-{self._process}-{self._number:04}.jsonl"
        self._handle = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_APPEND, 0o600)
        self._day, self._size = day, 0
        self._number += 1

    def _end(self) -> None:
        if self._handle is not None:
            with suppress(OSError):
                os.close(self._handle)
        self._handle = None


def line_of(decision: Decision, key: bytes) -> dict[str, Any]:
    """Return what a line says of a decision, by the names of the log contract; `sent` is null where nothing was applied."""
    answer, user = decision.answer, decision.user_id
    return {
        "rewrite_id": answer.id,
        "turn_id": decision.turn_id if isinstance(decision.turn_id, str) else None,
        "user_id": hash_user(user, key) if isinstance(user, str) and user else None,
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


def _write(handle: int, raw: bytes) -> None:
    left = memoryview(raw)
    while left:
        left = left[os.write(handle, left) :]


_log = logging.getLogger(__name__)
_TOGETHER = 1_000  # decisions that are written at once


class DecisionLog:
    """Writes decisions as JSON lines, one file for each process and day, readable by their owner only (docs/loop.md).

    A call puts its decision into a queue of bounded length; a thread writes. Where the queue is full or the disk refuses, the
    decision is dropped and counted: no request ever waits, and none fails. A line is written whole or, by a kill, not to its
    end, and such a line is passed over and counted by the reader. User ids are hashed with the key of the artefact.

    Safe to use from many threads and across `fork`.

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
        self._files = DecisionFiles(Path(folder), bytes.fromhex(current(artefact).manifest.user_key), max_bytes)
        self._room = room
        self._failed = self._closed = False
        self.restart()
        _open.add(self)

    def restart(self) -> None:
        """Begin anew after a fork: what the parent has queued, the parent writes."""
        self._files.forget()
        self._waiting: queue.Queue[Decision | threading.Event] = queue.Queue(self._room)
        self._lock = threading.Lock()
        self._thread: threading.Thread | None = None
        self._dropped = 0

    @property
    def dropped(self) -> int:
        """Decisions of this process that were not written."""
        return self._dropped

    def write(self, answer: Rewrite, *, user_id: str | None = None, turn_id: str | None = None) -> None:
        """Keep a decision. Never raises and never waits.

        Args:
            answer: what `Rewriter.rewrite` returned.
            user_id: as it was given to `rewrite`.
            turn_id: the id under which the dialogue log will know this turn; None where that log holds ``rewrite_id``.
        """
        try:
            if self._closed:
                raise queue.Full
            self._waiting.put_nowait(Decision(answer, user_id, turn_id, time.time_ns() // 1_000_000))
            if self._thread is None:
                self._start()
        except Exception:  # noqa: BLE001 - no request may fail because of its record
            self._drop(1)

    def flush(self, timeout: float = 5.0) -> bool:
        """Wait until everything written so far is on the disk; return whether that came about in `timeout` seconds."""
        done, end = threading.Event(), time.monotonic() + timeout
        if self._thread is None and self._waiting.empty():
            return True
        try:
            self._waiting.put(done, timeout=timeout)
        except queue.Full:
            return False
        self._start()
        return done.wait(max(end - time.monotonic(), 0.0))

    def close(self, timeout: float = 5.0) -> None:
        """Write what waits and end; decisions that come later are dropped."""
        self._closed = True
        self.flush(timeout)

    def __enter__(self) -> "DecisionLog":
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None) -> None:
        self.close()

    def _drop(self, n: int) -> None:
        with self._lock:
            self._dropped += n

    def _start(self) -> None:
        with self._lock:
            if self._thread is None:
                self._thread = threading.Thread(target=self._work, name="decision-log", daemon=True)
                self._thread.start()

    def _work(self) -> None:
        while True:
            found = [self._waiting.get()]
            with suppress(queue.Empty):
                while len(found) < _TOGETHER:
                    found.append(self._waiting.get_nowait())
            self._keep([each for each in found if isinstance(each, Decision)])
            asked = [each for each in found if isinstance(each, threading.Event)]
            if asked:
                with suppress(OSError):
                    self._files.sync()
            for event in asked:
                event.set()

    def _keep(self, decisions: list[Decision]) -> None:
        try:
            self._files.append(decisions)
            self._failed = False
        except Exception as error:  # noqa: BLE001 - whatever is wrong with the disk, requests go on
            self._drop(len(decisions))
            if not self._failed:
                _log.warning("decisions are dropped: %s", error)
            self._failed = True


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
