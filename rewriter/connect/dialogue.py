"""`Dialogue`: a host's requests and what becomes of them. It rewrites, keeps turns for `learn`, takes complaints as undos.

`TurnLog` keeps the turns as files in the contract of docs/log.md.
"""

import atexit
import fcntl
import json
import logging
import os
import secrets
import threading
import time
from collections import OrderedDict
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, Final, TypeVar

from rewriter.errors import ArtefactError, RewriterError
from rewriter.locks import Lock
from rewriter.model.phrases import phrases
from rewriter.online.request import Understands
from rewriter.online.rewriter import Rewriter
from rewriter.result import Rewrite
from rewriter.text import normalise

UNDO_WITHIN: Final = 120.0
"""Seconds after a rewrite within which a complaint is taken for an undo of it. Chosen, not measured."""
_LOOK_EVERY = 10.0  # seconds between two looks for an artefact that is not there yet
_USERS = 10_000  # users whose last rewrite is remembered
_COPIED = ("rule", "layer", "scope", "arm", "propensity")
_log = logging.getLogger(__name__)
T = TypeVar("T")


@dataclass(frozen=True, slots=True)
class Turn:
    """One request of a user.

    Attributes:
        id: of the turn in the log.
        utterance: what was heard.
        text: what to send to the NLU.
        user_id: who said it.
        ts: when, seconds since 1970.
        locale: BCP 47; None if the host does not say.
        session_id: of the host; None if it has none.
        context: scalars such as ``room``, as in the log.
        nbest: other hearings, best first.
        answer: what was decided; None as long as there is no artefact.
    """

    id: str
    utterance: str
    text: str
    user_id: str
    ts: float
    locale: str | None
    session_id: str | None
    context: Mapping[str, Any] | None
    nbest: tuple[str, ...]
    answer: Rewrite | None

    @property
    def rewritten(self) -> bool:
        """Whether `text` is a rewrite."""
        return self.answer is not None and self.answer.applied


class Dialogue:
    """Stands between a host and its users: `hear` before the NLU or `begin` and, after a refusal,
    `retry`; then `end`, when the outcome is known.

    No call raises or waits for the network, so that a host answers as without it whatever goes wrong. As long as there is no
    artefact, requests pass unchanged and are kept; it is looked for every ten seconds. Safe to use from many threads.

    Args:
        artefact: the artefact folder.
        turns: folder in which the turns are kept, for `learn`; None to keep none.
        understands: the host's own parser, as for `Rewriter.open`.
        now: tells the time, seconds since 1970.

    Example:
        >>> talk = Dialogue("artefact", "turns")  # doctest: +SKIP
        >>> turn = talk.hear("turn of the lamp", user_id="ann")  # doctest: +SKIP
        >>> turn.text  # doctest: +SKIP
        'turn off the lamp'
        >>> talk.end(turn, "ok")  # doctest: +SKIP
    """

    def __init__(
        self,
        artefact: str | Path,
        turns: str | Path | None = None,
        *,
        understands: Understands | None = None,
        now: Callable[[], float] = time.time,
    ) -> None:
        self._artefact, self._understands, self._now = Path(artefact), understands, now
        self._log = TurnLog(Path(turns), now) if turns is not None else None
        self._lock = Lock()
        self._last: OrderedDict[str, tuple[str, float]] = OrderedDict()
        self._rewriter: Rewriter | None = None
        self._next_look = 0.0
        self._open()

    @property
    def rewriter(self) -> Rewriter | None:
        """What answers; None as long as there is no artefact."""
        return self._rewriter or self._open()

    def begin(
        self,
        utterance: str,
        *,
        user_id: str,
        locale: str | None = None,
        nbest: Sequence[str] = (),
        context: Mapping[str, Any] | None = None,
        session_id: str | None = None,
    ) -> Turn:
        """Return a turn that is to be sent as it was spoken. If it is a complaint, it undoes the rewrite just before it.

        Args:
            utterance: what the host heard.
            user_id: pseudonym of the person or household.
            locale: BCP 47.
            nbest: other hearings, best first.
            context: scalars such as ``room``.
            session_id: of the host, for the log.
        """
        if self.complains(utterance, locale):
            self.undo(user_id)
        ts, words = self._now(), tuple(nbest)
        return Turn(secrets.token_hex(8), utterance, utterance, user_id, ts, locale, session_id, context, words, None)

    def hear(self, utterance: str, **known: Any) -> Turn:  # noqa: ANN401 - the arguments of `begin`
        """Return a turn with what to send before the NLU has seen it. Takes the arguments of `begin`."""
        return self._answered(self.begin(utterance, **known), after_failure=False)

    def retry(self, turn: Turn) -> Turn:
        """Return a turn with what to send after the host refused it as it was spoken; unchanged if there is nothing better."""
        return turn if turn.rewritten else self._answered(turn, after_failure=True)

    def end(
        self,
        turn: Turn,
        status: str | None = None,
        *,
        hypothesis: str | None = None,
        response: str | None = None,
        **columns: Any,  # noqa: ANN401 - whatever column of the contract the host knows
    ) -> None:
        """Keep a turn in the log.

        Args:
            turn: what `begin`, `hear` or `retry` returned.
            status: ``ok``, ``failed`` or None, what became of the text that was sent.
            hypothesis: what the NLU understood, as one text.
            response: what the host answered.
            columns: other columns of docs/log.md, such as ``intent`` with ``slots``.
        """
        if self._log is not None:
            known = {"status": status, "hypothesis": hypothesis, "response": response} | columns
            self._log.write(row(turn) | {name: value for name, value in known.items() if value is not None})

    def complains(self, utterance: str, locale: str | None = None) -> bool:
        """Return whether somebody says that the last answer was wrong, in the language of the locale."""
        rewriter = self.rewriter
        return rewriter is not None and normalise(utterance) in phrases(rewriter.locale_of(locale))["complain"]

    def undo(self, user_id: str) -> bool:
        """Say that the last rewrite of a user was wrong; it is not repeated for them. Return whether there was one just now."""
        with self._lock:
            rewrite_id, ts = self._last.pop(user_id, ("", 0.0))
        if not rewrite_id or self._now() - ts > UNDO_WITHIN or self._rewriter is None:
            return False
        try:
            self._rewriter.feedback(rewrite_id, -1, user_id)
        except RewriterError as error:
            _log.warning("an undo was not kept: %s", error)
            return False
        return True

    def close(self) -> None:
        """Close the file of turns, so that `learn` reads it."""
        if self._log is not None:
            self._log.close()

    def _answered(self, turn: Turn, *, after_failure: bool) -> Turn:
        if (rewriter := self.rewriter) is None:
            return turn
        answer = rewriter.rewrite(
            turn.utterance,
            user_id=turn.user_id,
            locale=turn.locale,
            nbest=turn.nbest,
            context=turn.context,
            after_failure=after_failure,
        )
        with self._lock:
            self._last.pop(turn.user_id, None)
            if answer.applied:
                self._last[turn.user_id] = (answer.id, turn.ts)
                if len(self._last) > _USERS:
                    self._last.popitem(last=False)
        return replace(turn, text=answer.text, answer=answer)

    def _open(self) -> Rewriter | None:
        """Open the artefact if it is there; else look again in a while."""
        if time.monotonic() < self._next_look:
            return None
        self._next_look = time.monotonic() + _LOOK_EVERY
        try:
            self._rewriter = Rewriter.open(self._artefact, understands=self._understands)
        except ArtefactError as error:
            _log.info("requests are left alone: %s", error)
        return self._rewriter


def row(turn: Turn) -> dict[str, Any]:
    """Return a turn as a row of the log, without what became of it."""
    answer = turn.answer
    cells = {
        "turn_id": turn.id,
        "user_id": turn.user_id,
        "timestamp": datetime.fromtimestamp(turn.ts, UTC).isoformat(timespec="milliseconds"),
        "utterance": turn.utterance,
        "session_id": turn.session_id,
        "locale": turn.locale,
        "nbest": list(turn.nbest) or None,
        "context": dict(turn.context) if turn.context else None,
    }
    if answer is not None:
        cells |= {"sent": answer.text if answer.applied else None, "rewrite_id": answer.id}
        cells |= {name: getattr(answer, name) for name in _COPIED}
    return {name: value for name, value in cells.items() if value is not None}


class TurnLog:
    """Appends turns to files in the contract of docs/log.md, readable by their owner only.

    The file that is being written begins with a dot, which `learn` leaves out, because a file that grows after it was learned
    would count twice. It gets its name, ``<UTC time>-<random>.jsonl``, after `every` seconds, at `close`, and when the process
    ends; what a killed process left gets its name when the next one begins. A row that the disk refuses is dropped; the first
    such row is logged.

    Args:
        folder: made if it is missing.
        now: tells the time, seconds since 1970.
        every: seconds after which a file is closed.
    """

    def __init__(self, folder: Path, now: Callable[[], float] = time.time, every: float = 3600.0) -> None:
        self._folder, self._now, self._every = folder, now, every
        self._lock = Lock()
        self._handle: int | None = None
        self._path = Path()
        self._timer: threading.Timer | None = None
        self._quietly(self._begin)
        atexit.register(self.close)

    def write(self, cells: Mapping[str, Any]) -> None:
        """Append a row. Never raises."""
        self._quietly(lambda: self._append((json.dumps(cells, ensure_ascii=False) + "\n").encode("utf-8", "replace")))

    def close(self) -> None:
        """Close the present file; the next row begins a new one."""
        self._quietly(self._end)

    def _begin(self) -> None:
        self._folder.mkdir(mode=0o700, parents=True, exist_ok=True)
        for path in self._folder.glob(".*.jsonl"):
            with path.open("ab") as file:
                try:
                    fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
                except BlockingIOError:
                    continue  # another process is writing it
                path.replace(path.with_name(path.name[1:]))

    def _append(self, raw: bytes) -> None:
        with self._lock:
            if self._handle is None:
                stamp = datetime.fromtimestamp(self._now(), UTC).strftime("%Y%m%dT%H%M%S")
                self._path = self._folder / f".{stamp}-{secrets.token_hex(4)}.jsonl"
                self._handle = os.open(self._path, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_APPEND, 0o600)
                fcntl.flock(self._handle, fcntl.LOCK_EX)
                self._timer = threading.Timer(self._every, self.close)
                self._timer.daemon = True
                self._timer.start()
            os.write(self._handle, raw)

    def _end(self) -> None:
        with self._lock:
            if self._timer is not None:
                self._timer.cancel()
            if self._handle is not None:
                handle, self._handle = self._handle, None
                self._path.replace(self._path.with_name(self._path.name[1:]))
                os.close(handle)

    def _quietly(self, act: Callable[[], T]) -> None:
        try:
            act()
        except (OSError, TypeError, ValueError) as error:  # no request may fail because of its record
            _log.warning("turns are not kept in %s: %s", self._folder, error)
