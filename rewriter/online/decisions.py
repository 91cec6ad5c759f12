"""`DecisionLog`: keeps what `Rewriter.rewrite` decided, for the next `learn`, without ever making a request wait."""

import atexit
import logging
import os
import queue
import threading
import time
from contextlib import suppress
from pathlib import Path
from types import TracebackType
from weakref import WeakSet

from rewriter.artefact.versions import current
from rewriter.online.decision_files import Decision, DecisionFiles
from rewriter.result import Rewrite

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
