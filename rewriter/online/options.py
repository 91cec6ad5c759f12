"""`Asking`: what the opener of a `Rewriter` asked for.

Whether to ask "did I get that right?": of the requests that are sent as spoken, mostly those whose answer would teach most.
"""

import threading
from collections import Counter
from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING

from rewriter.result import Reason
from rewriter.text import normalise

if TYPE_CHECKING:
    from rewriter.model.risk import Risk

import time
from collections.abc import Callable
from dataclasses import dataclass, field

from rewriter.online.overlay import Overlay
from rewriter.online.request import Understands
from rewriter.online.review import Review
from rewriter.result import Layer

SURE: frozenset[Reason] = frozenset({"empty", "too_long", "not_text", "error", "keep_source", "understood", "held_out"})
"""Reasons for leaving a request alone of which nobody need be asked; what was held out is to be compared with what nobody is
asked about."""


def p_asked(risk: "Risk", hearings: Sequence[str], context: object, max_chars: int) -> float:
    """Return the probability with which a request that is sent as spoken is followed by a question.

    Args:
        risk: of the artefact.
        hearings: normalised, the utterance first.
        context: of the request; ``previous_utterance`` is looked at.
        max_chars: what is longer is cut.
    """
    before = context.get("previous_utterance") if isinstance(context, Mapping) else None
    previous = normalise(str.__str__(before)[:max_chars]) if isinstance(before, str) else ""
    return risk.p_asked(risk.p(hearings, previous))


class Prompts:
    """How often each user was asked today by this process; forgotten at the end of the day, and of the process."""

    __slots__ = ("_asked", "_day", "_lock")

    def __init__(self) -> None:
        self._day, self._asked = 0, Counter[str]()
        self._lock = threading.Lock()

    def spend(self, user: str, day: int, most: int) -> bool:
        """Book a question, and return whether it stays within the user's budget of that day.

        Args:
            user: keyed hash; nobody has no budget of her own.
            day: whole days since 1970, UTC.
            most: questions to one user in a day.

        Example:
            >>> prompts = Prompts()
            >>> [prompts.spend("ann", 1, 1), prompts.spend("ann", 1, 1), prompts.spend("ann", 2, 1)]
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
class Asking:
    """What the opener of a `Rewriter` asked for."""

    understands: Understands | None
    deadline_ms: float | None
    layers: frozenset[Layer]
    hashed: bool
    overlay: Overlay
    review: Review
    now: Callable[[], float]
    """Tells the time, seconds since 1970."""
    prompts: Prompts = field(default_factory=Prompts)

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
