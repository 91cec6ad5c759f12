"""`Asking`: what the opener of a `Rewriter` asked for."""

import time
from collections.abc import Callable
from dataclasses import dataclass, field

from rewriter.online.exploring import Prompts
from rewriter.online.overlay import Overlay
from rewriter.online.reviewed import Review
from rewriter.online.verdict import Understands
from rewriter.result import Layer

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
