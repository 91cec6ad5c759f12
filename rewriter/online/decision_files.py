"""The files of a decision log: which line goes into which, and what stands in a line."""

import json
import os
import secrets
from collections.abc import Sequence
from contextlib import suppress
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, NamedTuple

from rewriter.artefact.disk import explained
from rewriter.model.users import hash_user
from rewriter.result import Rewrite


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
