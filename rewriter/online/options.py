"""`Options`: what the opener of a `Rewriter` asked for."""

import time
from collections.abc import Callable
from dataclasses import dataclass, field

from rewriter.codes import Layer
from rewriter.online.overlay import Overlay
from rewriter.online.questions import Questions
from rewriter.online.request import Understands
from rewriter.online.review import Review

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
