"""What the opener of a `Rewriter` asked for, and the questions "did I get that right?" that follow some answers."""

import time
from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Final

from rewriter.codes import Layer, Reason
from rewriter.locks import Lock
from rewriter.online.assignment import decision_id, happens
from rewriter.online.overlay import Overlay
from rewriter.online.request import Call, Understands
from rewriter.online.review import Review
from rewriter.text import normalise

if TYPE_CHECKING:
    from rewriter.model.risk import Risk

UNASKED: Final = frozenset({
    Reason.EMPTY, Reason.TOO_LONG, Reason.NOT_TEXT, Reason.ERROR, Reason.KEEP_SOURCE, Reason.UNDERSTOOD, Reason.HELD_OUT,
    Reason.UNKNOWN_LOCALE,
})  # fmt: skip
"""Reasons for leaving a request alone that no question follows: the answer would teach nothing, and a held-out request is
compared with requests that are not asked about either."""


def p_asked(risk: "Risk", hearings: Sequence[str], context: Mapping[str, object]) -> float:
    """Return the probability with which a request that is sent as spoken is followed by a question.

    Args:
        risk: of the artefact.
        hearings: normalised, the utterance first.
        context: of the request; ``previous_utterance`` is looked at.
    """
    before = context.get("previous_utterance")
    return risk.p_asked(risk.p(hearings, normalise(before) if isinstance(before, str) else ""))


class Questions:
    """Draws questions, and counts how often this process has asked each user today."""

    __slots__ = ("_asked", "_day", "_lock")

    def __init__(self) -> None:
        self._day, self._asked = 0, Counter[str]()
        self._lock = Lock()

    def asks(self, risk: "Risk", call: Call, day: int, key: bytes) -> bool:
        """Draw whether a request that is sent as spoken is followed by a question, and book it on its user's day.

        Args:
            risk: of the artefact; says what an answer would teach, and how many questions a day are allowed.
            call: the request.
            day: whole days since 1970, UTC.
            key: secret of the artefact.
        """
        share = p_asked(risk, call.hearings(), call.context)
        drawn = happens(share, call.user or decision_id(), call.query, day, key, what=b"ask")
        return drawn and self.spend(call.user, day, risk.a_day)

    def spend(self, user: str, day: int, most: int) -> bool:
        """Book a question, and return whether it stays within the user's budget of that day.

        Args:
            user: keyed hash; empty for nobody, for whom only a budget of 0 forbids.
            day: whole days since 1970, UTC.
            most: questions to one user in a day.

        Example:
            >>> questions = Questions()
            >>> [questions.spend("ann", 1, 1), questions.spend("ann", 1, 1), questions.spend("ann", 2, 1)]
            [True, False, True]
        """
        if not user:
            return most > 0
        with self._lock:
            if day != self._day:
                self._day, self._asked = day, Counter()
            self._asked[user] += 1
            return self._asked[user] <= most


_DAY_S = 86_400


@dataclass(frozen=True, slots=True)
class Options:
    """What the opener of a `Rewriter` asked for; the same for all versions that it serves.

    Attributes:
        understands: the assistant's own parser; None if it is not at hand.
        deadline_ms: how long the online layer may take, milliseconds; None for no limit.
        layers: which layers are asked.
        hashed: whether user ids are given as keyed hashes.
        overlay: what users said of rewrites.
        review: what people decided about rewrites.
        now: tells the time, seconds since 1970.
        questions: draws "did I get that right?".
    """

    understands: Understands | None
    deadline_ms: float | None
    layers: frozenset[Layer]
    hashed: bool
    overlay: Overlay
    review: Review
    now: Callable[[], float]
    questions: Questions = field(default_factory=Questions)

    def today(self) -> int:
        """Return the day, whole days since 1970, UTC."""
        return int(self.now() // _DAY_S)

    def clock(self) -> Callable[[], bool]:
        """Start the clock, and return what says whether the time is up."""
        if self.deadline_ms is None:
            return _never
        end = time.perf_counter() + self.deadline_ms / 1000
        return lambda: time.perf_counter() >= end


def _never() -> bool:
    return False
