"""`TurnLog`: what was said, sent and decided, in the log contract of rewriter, in files that only their owner can read."""

from __future__ import annotations

import json
import os
import secrets
import threading
import time
from collections.abc import Mapping
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from homeassistant.helpers.intent import IntentResponse

    from rewriter.result import Rewrite

_PLACE = "preferred_area_id"  # the room of the satellite: it belongs to the context, not to what was understood


class TurnLog:
    """Appends turns to JSON lines. A file that `seal` has returned does not grow any more, so `learn` reads it once.

    Args:
        folder: of the files; made with mode 0700, the files with mode 0600.
    """

    def __init__(self, folder: Path) -> None:
        self._folder = folder
        self._lock = threading.Lock()
        self._path: Path | None = None

    def append(self, turn: Mapping[str, Any]) -> None:
        """Write one turn as a line.

        Raises:
            OSError: the disk refuses.
        """
        line = (json.dumps(turn, ensure_ascii=False) + "\n").encode("utf-8", "replace")
        with self._lock:
            if self._path is None:
                self._folder.mkdir(mode=0o700, parents=True, exist_ok=True)
                stamp = datetime.now(UTC).strftime("%Y-%m-%dT%H%M%S")
                self._path = self._folder / f"turns-{stamp}-{secrets.token_hex(3)}.jsonl"
            handle = os.open(self._path, os.O_WRONLY | os.O_CREAT | os.O_APPEND, 0o600)
            try:
                os.write(handle, line)
            finally:
                os.close(handle)

    def seal(self) -> list[Path]:
        """End the present file, and return all files, the oldest first."""
        with self._lock:
            self._path = None
        return sorted(self._folder.glob("turns-*.jsonl"))

    def drop_older(self, days: int) -> None:
        """Delete files whose last line is older than this many days."""
        for path in self.seal():
            if path.stat().st_mtime < time.time() - days * 86_400:
                path.unlink()

    def drop_user(self, user_id: str) -> int:
        """Take one user out of all files, as `rewriter forget` does if there is an artefact; return how many lines are gone."""
        gone = 0
        for path in self.seal():
            lines = path.read_bytes().splitlines(keepends=True)
            kept = [line for line in lines if json.loads(line)["user_id"] != user_id]
            gone += len(lines) - len(kept)
            if len(kept) < len(lines):
                new = path.with_suffix(".new")
                handle = os.open(new, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600)
                with os.fdopen(handle, "wb") as file:
                    file.writelines(kept)
                new.replace(path)
        return gone


def outcome(response: IntentResponse) -> dict[str, Any]:
    """Return what the agent made of a request: status, response, and intent with slots where it names them."""
    found: dict[str, Any] = {
        "status": "failed" if response.error_code is not None else "ok",
        "response": response.speech.get("plain", {}).get("speech") or None,
    }
    if response.intent is not None and response.error_code is None:
        slots = {name: slot_value(slot.get("value")) for name, slot in response.intent.slots.items() if name != _PLACE}
        found |= {"intent": response.intent.intent_type, "slots": slots}
    return found


def decided(answer: Rewrite | None) -> dict[str, Any]:
    """Return the columns of a decision; nothing where rewriter was not asked."""
    if answer is None:
        return {}
    return {
        "sent": answer.text if answer.applied else None,
        "rewrite_id": answer.id,
        "rule": answer.rule,
        "layer": answer.layer,
        "scope": answer.scope,
        "arm": answer.arm,
        "propensity": answer.propensity,
    }


def slot_value(value: Any) -> Any:  # noqa: ANN401 - a slot holds what the intent says
    """Return a slot value as log and catalog write it: in small letters, and several values, such as domains, as one text.

    The agent fills a slot with the name as the home spells it or as the user did, depending on its version.
    """
    if isinstance(value, list | tuple | set):
        return ",".join(sorted(str(each).casefold() for each in value))
    return value if isinstance(value, int | float | bool) or value is None else str(value).casefold()
