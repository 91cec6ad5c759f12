"""`Engine`: the artefact of this home. Every method may touch the disk or compute, so it runs in an executor."""

from __future__ import annotations

import json
import logging
import threading
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from rewriter.online.rewriter import Rewriter
    from rewriter.online.teaching_session import TeachingSession
    from rewriter.result import Rewrite, Teachable

_LOGGER = logging.getLogger(__name__)
_ANSWERS = Path(__file__).parent / "answers.json"

Recognise = Callable[[str], bool]
"""Whether the wrapped agent understands a text as the one who asks now would say it."""


@dataclass(frozen=True, slots=True)
class Request:
    """What is asked.

    Attributes:
        text: what was heard.
        speaker: user id.
        language: BCP 47.
        context: room, hour and device, as in the log of rewriter.
        recognise: the parser of the wrapped agent; None if it has none that does not act.
    """

    text: str
    speaker: str
    language: str
    context: Mapping[str, Any]
    recognise: Recognise | None = None


class Engine:
    """Answers from an artefact folder as soon as there is one, and hot-swaps when `learn` has published.

    Args:
        folder: the artefact, made by the first `learn`.
        before: whether requests may be rewritten before the agent has refused them; if not, only lessons are.
    """

    def __init__(self, folder: Path, *, before: bool) -> None:
        self._folder, self._before = folder, before
        self._opened: tuple[Rewriter, Rewriter] | None = None
        self._lock = threading.Lock()
        self._asking = threading.local()
        self._answers: dict[str, dict[str, str]] = {}

    def warm(self) -> None:
        """Open the artefact, if there is one, before the first request waits for it."""
        opened = self._open()
        if opened is not None:
            opened[0].rewrite("warm", after_failure=True)

    def before(self, request: Request) -> Rewrite | None:
        """Return the decision on a request that the agent has not seen; None if there is no artefact yet."""
        opened = self._open()
        return None if opened is None else self._ask(opened[1], request, after_failure=False)

    def after(self, request: Request) -> Rewrite | None:
        """Return the decision on a request that the agent has refused; None if there is no artefact yet."""
        opened = self._open()
        return None if opened is None else self._ask(opened[0], request, after_failure=True)

    def undo(self, answer: Rewrite, speaker: str) -> None:
        """Say that a rewrite was wrong. From the next request on it is not repeated for this user."""
        self._rewriter().feedback(answer.id, -1, speaker)

    def teaches(self, text: str, speaker: str, language: str, last: TeachingSession | None) -> TeachingSession | None:
        """Return a session of teaching, `last` or a new one, if a text begins it; else None, and without an artefact."""
        from rewriter.online.teaching_session import TeachingSession  # noqa: PLC0415 - the package may be missing when this module is read

        opened = self._open()
        session = None if opened is None else last or TeachingSession(opened[0], speaker, language)
        return session if session is not None and session.begins(text) else None

    def say(self, session: TeachingSession, text: str, recognise: Recognise | None) -> str:
        """Return what a session of teaching says to a text."""
        with self._on_behalf(recognise):
            return session.say(text)

    def accept(self, asked: Teachable, yes: bool, speaker: str, recognise: Recognise | None) -> None:
        """Keep the answer to a question: yes teaches a lesson, no is remembered."""
        with self._on_behalf(recognise):
            self._rewriter().answer(asked, yes, user_id=speaker)

    def says_undo(self, text: str, language: str) -> bool:
        """Return whether a text says that the last answer was wrong."""
        from rewriter.model.phrases import phrases  # noqa: PLC0415
        from rewriter.text import normalise  # noqa: PLC0415

        return normalise(text) in phrases(language)["complain"]

    def says_yes(self, text: str, language: str) -> bool | None:
        """Return whether a text says yes or no; None if it says neither."""
        from rewriter.online.moments import read_yes  # noqa: PLC0415

        return read_yes(text, language)

    def speech(self, key: str, language: str, **values: str) -> str:
        """Return what to say, in the language of the request, or in English."""
        if not self._answers:
            self._answers = json.loads(_ANSWERS.read_text(encoding="utf-8"))
        words = self._answers.get(language.replace("_", "-").partition("-")[0].lower(), self._answers["en"])
        return words[key].format(**values)

    def _ask(self, rewriter: Rewriter, request: Request, *, after_failure: bool) -> Rewrite:
        with self._on_behalf(request.recognise):
            return rewriter.rewrite(
                request.text,
                user_id=request.speaker,
                locale=request.language,
                context=request.context,
                after_failure=after_failure,
            )

    @contextmanager
    def _on_behalf(self, recognise: Recognise | None) -> Iterator[None]:
        """Let rewriter ask this parser, in this thread: which device asks decides on what is understood."""
        self._asking.recognise = recognise
        try:
            yield
        finally:
            self._asking.recognise = None

    def _understands(self, text: str) -> bool:
        recognise = getattr(self._asking, "recognise", None)
        return True if recognise is None else recognise(text)

    def _rewriter(self) -> Rewriter:
        opened = self._open()
        if opened is None:
            raise FileNotFoundError(self._folder)
        return opened[0]

    def _open(self) -> tuple[Rewriter, Rewriter] | None:
        """Return what answers after a refusal, and what answers before."""
        if self._opened is None and (self._folder / "CURRENT").exists():
            from rewriter.codes import Layer  # noqa: PLC0415
            from rewriter.online.rewriter import Rewriter  # noqa: PLC0415

            with self._lock:
                if self._opened is None:
                    full = Rewriter.open(self._folder, understands=self._understands)
                    lessons = full if self._before else Rewriter.open(self._folder, layers=[Layer.LESSON])
                    self._opened = full, lessons
        return self._opened
