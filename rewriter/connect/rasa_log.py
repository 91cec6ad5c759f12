"""The tracker store of Rasa becomes a log of the contract: `import_rasa`."""

import json
import sqlite3
from collections import Counter, defaultdict
from collections.abc import Iterable, Iterator, Mapping
from contextlib import closing
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, Final

from rewriter.connect.log_file import TurnsReport, write
from rewriter.errors import LogError
from rewriter.model.hypothesis import hypothesis

FALLBACKS: Final = ("nlu_fallback", "out_of_scope", None)
"""Intents that say that nothing was understood; None is what Rasa makes of a text without any."""
REFUSALS: Final = (
    "action_default_fallback",
    "action_default_ask_rephrase",
    "action_default_ask_affirmation",
    "action_two_stage_fallback",
)
"""Actions by which Rasa says that it did not understand."""
_DECIDED: Final = ("sent", "rewrite_id", "rule", "layer", "scope", "arm", "propensity")
_BROKEN, _NO_TEXT, _COMMAND = (
    "lines that are no event of Rasa",
    "messages without a text",
    "commands such as /restart and buttons",
)
Event = Mapping[str, Any]


def import_rasa(sources: Iterable[str | Path], out: str | Path) -> TurnsReport:
    """Write the conversations of a Rasa assistant as a log of the contract.

    A turn is a message of a user. The user is ``sender_id``. It failed if its intent is a fallback, or if what the assistant does
    next is one of `REFUSALS`; a `rewriter` in its ``parse_data`` (docs/rasa.md) is the decision that was taken on it.

    Args:
        sources: SQLite files of an ``SQLTrackerStore``; or JSON lines of events with ``sender_id``, as an event broker writes
            them, or of whole trackers with ``events``. Other stores are exported with ``rasa export`` or a query.
        out: Parquet file to write, readable by its owner only.

    Raises:
        LogError: a file is missing or damaged, or none holds a message.
    """
    left = Counter({_BROKEN: 0, _NO_TEXT: 0, _COMMAND: 0})
    events: defaultdict[str, list[Event]] = defaultdict(list)
    for source in map(Path, sources):
        if not source.exists():
            raise LogError(f"there is no {source}")
        for path in sorted(source.rglob("*")) if source.is_dir() else [source]:
            for event in _events(path, left) if path.is_file() else ():
                events[str(event["sender_id"])].append(event)
    rows = (row for sender, found in events.items() for row in _turns(sender, sorted(found, key=_time), left))
    return write(rows, out, left)


def _time(event: Event) -> float:
    return float(event.get("timestamp") or 0)


def _events(path: Path, left: Counter[str]) -> Iterator[Event]:
    with path.open("rb") as file:
        is_database = file.read(16).startswith(b"SQLite format 3")
    return _of_database(path, left) if is_database else _of_lines(path, left)


def _of_database(path: Path, left: Counter[str]) -> Iterator[Event]:
    try:
        with closing(
            sqlite3.connect(f"file:{path.resolve().as_posix().replace('?', '%3f').replace('#', '%23')}?mode=ro", uri=True)
        ) as con:
            for sender, data in con.execute("SELECT sender_id, data FROM events ORDER BY id"):
                yield from _read(data, left, sender)
    except sqlite3.Error as error:
        raise LogError(f"cannot read {path} as a tracker store of Rasa: {error}") from error


def _of_lines(path: Path, left: Counter[str]) -> Iterator[Event]:
    with path.open(encoding="utf-8", errors="replace") as file:
        for line in file:
            if line.strip():
                yield from _read(line, left, None)


def _read(raw: str, left: Counter[str], sender: str | None) -> Iterator[Event]:
    """Yield the events of a line: one event, or all of a tracker."""
    try:
        found = json.loads(raw)
        who = sender or found["sender_id"]
        for event in found["events"] if isinstance(found.get("events"), list) else [found]:
            float(event.get("timestamp") or 0)
            yield {**event, "sender_id": who}
    except (ValueError, KeyError, TypeError, AttributeError):
        left[_BROKEN] += 1


def _turns(sender: str, events: list[Event], left: Counter[str]) -> Iterator[dict[str, Any]]:
    """Yield the turns of one user; what the assistant does until the next message belongs to a turn."""
    row: dict[str, Any] | None = None
    for event in events:
        if event.get("event") == "user":
            again = ((event.get("parse_data") or {}).get("rewriter") or {}).get("after_failure")
            if row and not again:  # a message that is parsed again in other words is one turn
                yield row
            row = _begun(sender, event, left)
        elif row and event.get("event") == "bot" and event.get("text"):
            row["response"] = " ".join(filter(None, [row.get("response"), str(event["text"])]))
        elif row and event.get("event") == "action" and event.get("name") in REFUSALS:
            row["status"] = "failed"
    if row:
        yield row


def _begun(sender: str, event: Event, left: Counter[str]) -> dict[str, Any] | None:
    """Return the turn of a message; None if it is none."""
    said, parsed = event.get("text"), event.get("parse_data") or {}
    if not isinstance(said, str) or not said.strip() or said.startswith("/"):
        left[_COMMAND if isinstance(said, str) and said.startswith("/") else _NO_TEXT] += 1
        return None
    intent, entities = parsed.get("intent") or {}, parsed.get("entities") or []
    name, decided = intent.get("name"), parsed.get("rewriter") or {}
    slots = {_slot(each): each.get("value") for each in entities if isinstance(each.get("value"), str | int | float)}
    return {
        "turn_id": event.get("message_id") or f"{sender}:{event.get('timestamp')}",
        "user_id": str(decided.get("user_id") or sender),
        "timestamp": datetime.fromtimestamp(_time(event), UTC).isoformat(),
        "utterance": str(decided.get("said") or said),
        "status": "failed" if name in FALLBACKS else "ok",
        "hypothesis": None if name in FALLBACKS else hypothesis(str(name), slots),
        "nlu_confidence": intent.get("confidence"),
    } | {key: decided[key] for key in _DECIDED if decided.get(key) is not None}


def _slot(entity: Mapping[str, Any]) -> str:
    return str(entity.get("entity")) + (f".{entity['role']}" if entity.get("role") else "")
