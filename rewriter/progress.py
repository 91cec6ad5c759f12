"""How far a job is: which step runs, what of it is done, how fast, and about how long the rest takes.

`Progress`  what a caller gives: a function that is told the name of each step as it starts
`Follows`   the same with two methods, for a caller who wants counts, too
`Telling`   what a job tells, to either kind
`Pace`      follows a job and estimates what is left
"""

import itertools
import time
from collections.abc import Callable, Mapping, Sequence
from typing import NamedTuple, Protocol, runtime_checkable

Progress = Callable[[str], None]
_LEAST_DONE = 0.03  # share of the whole that is done before the rest is estimated
_MOST_DONE = 0.95  # share of a step without counts that time alone can be taken to have done


@runtime_checkable
class Follows(Protocol):
    """A callback that is also told how large the job is, and how far its step.

    Example:
        >>> class Printed:
        ...     def __call__(self, step):
        ...         print(step)
        ...     def size(self, turns):
        ...         print(turns, "turns")
        ...     def advance(self, done, total, unit):
        ...         print(done, "of", total, unit)
        >>> isinstance(Printed(), Follows), isinstance(print, Follows)
        (True, False)
    """

    def __call__(self, step: str) -> None:
        """Take note that a step starts."""

    def size(self, turns: int) -> None:
        """Take note of how many turns there are."""

    def advance(self, done: int, total: int, unit: str) -> None:
        """Take note of how many things of the step are done."""


class Telling:
    """Tells a callback what happens, as far as it wants to know.

    Args:
        progress: a function, one that `Follows`, or None for nobody.

    Example:
        >>> names = []
        >>> telling = Telling(names.append)
        >>> telling("mine")
        >>> telling.size(5)  # a plain function is not told
        >>> names
        ['mine']
    """

    __slots__ = ("_follows", "_progress")

    def __init__(self, progress: Progress | None) -> None:
        self._progress = progress
        self._follows = progress if isinstance(progress, Follows) else None

    def __call__(self, step: str) -> None:
        """Tell that a step starts."""
        if self._progress is not None:
            self._progress(step)

    def size(self, turns: int) -> None:
        """Tell how many turns there are."""
        if self._follows is not None:
            self._follows.size(turns)

    def counting(self, total: int, unit: str) -> Progress:
        """Return what is called as each of many things of a step begins, the ones before it being done.

        Args:
            total: how many there are, as far as is known.
            unit: what they are, in the plural.
        """
        begun = itertools.count()

        def begins(_: str) -> None:
            done = next(begun)
            if self._follows is not None:
                self._follows.advance(done, max(total, done + 1), unit)

        return begins


class Cost(NamedTuple):
    """What a step takes on one machine: only the proportions between steps matter.

    Attributes:
        fixed: seconds, however few turns there are.
        per_million: further seconds for each million turns.
    """

    fixed: float
    per_million: float

    def of(self, turns: int) -> float:
        """Return the seconds for so many turns."""
        return self.fixed + self.per_million * turns / 1e6


_EQUAL = Cost(1.0, 0.0)


class Pace:
    """Follows a job by a clock.

    What is left is what the steps cost elsewhere, times how much slower than there the job has been so far.

    Args:
        costs: step -> its cost, in order; or only the steps, then nothing is said of the time.
        now: tells the time in seconds.

    Attributes:
        timed: whether the costs are known, so that the time is told.

    Example:
        >>> seconds = iter([0.0, 0.0, 10.0, 10.0])
        >>> pace = Pace({"mine": Cost(1.0, 0.0), "fit": Cost(3.0, 0.0)}, lambda: next(seconds))  # at 0 s
        >>> pace.start("mine")
        >>> pace.start("fit")  # at 10 s
        >>> pace.line()  # fit takes three times as long
        '2/2 fit, about 30 s left, 0:10 elapsed'
    """

    __slots__ = ("_began", "_begun", "_costs", "_counts", "_now", "_since", "_step", "_turns", "timed")

    def __init__(self, costs: Mapping[str, Cost] | Sequence[str], now: Callable[[], float] = time.monotonic) -> None:
        self._costs = costs if isinstance(costs, Mapping) else dict.fromkeys(costs, _EQUAL)
        self.timed, self._now = isinstance(costs, Mapping), now
        self._step, self._begun, self._turns = "", dict[str, None](), 0
        self._began = self._since = now()
        self._counts: tuple[int, int, str] | None = None

    def start(self, step: str) -> None:
        """Take note that a step starts, or goes on."""
        self._since = self._now()
        self._step, self._counts = step, None
        self._begun.setdefault(step)

    def size(self, turns: int) -> None:
        """Take note of how many turns there are."""
        self._turns = turns

    def advance(self, done: int, total: int, unit: str) -> None:
        """Take note of how many things of the step are done."""
        self._counts = done, total, unit

    def line(self) -> str:
        """Return where the job is: step k of n, what is left and has passed of the time, what is done, how fast."""
        if not self._step:
            return ""
        now, names = self._now(), list(self._costs)
        elapsed, taken = now - self._began, now - self._since
        parts = [f"{names.index(self._step) + 1 if self._step in names else 0}/{len(names)} {self._step}"]
        if self.timed:
            told = self._turns or not any(cost.per_million for cost in self._costs.values())
            parts += [_left(elapsed, self.done(now)) if told else "", f"{_clock(elapsed)} elapsed"]
        if self._counts is not None:
            done, total, unit = self._counts
            parts += [f"{done:,} of {total:,} {unit}", _rate(done / taken) if done and taken > 0 else ""]
        if self._turns:
            parts.append(f"{self._turns:,} turns")
        return ", ".join(filter(None, parts))

    def done(self, now: float) -> float:
        """Return which share of the whole is done, 0..1.

        Args:
            now: the time, seconds.
        """
        cost = {step: of.of(self._turns) for step, of in self._costs.items()}
        before = sum(cost.get(step, 0.0) for step in self._begun if step != self._step)
        again = self._step != next(reversed(self._begun), self._step)  # a step that goes on was taken for done
        own = cost.get(self._step, 0.0)
        slower = (self._since - self._began) / before if before else 1.0
        by_time = min(_MOST_DONE, (now - self._since) / (own * slower)) if own and slower else 0.0
        share = 1.0 if again else self._counts[0] / max(self._counts[1], 1) if self._counts else by_time
        return (before + share * own) / (sum(cost.values()) or 1.0)


def _rate(a_second: float) -> str:
    """Return a rate in words.

    Example:
        >>> _rate(1234.5), _rate(2.5), _rate(0.05)
        ('1,234 a second', '2.5 a second', '3.0 a minute')
    """
    if a_second < 1:
        return f"{a_second * 60:.1f} a minute"
    return f"{a_second:,.0f} a second" if a_second >= 10 else f"{a_second:.1f} a second"


def _clock(seconds: float) -> str:
    """Return a time as a clock shows it.

    Example:
        >>> _clock(9.7), _clock(3725)
        ('0:09', '1:02:05')
    """
    minutes, rest = divmod(int(seconds), 60)
    return f"{minutes // 60}:{minutes % 60:02}:{rest:02}" if minutes >= 60 else f"{minutes}:{rest:02}"


def _left(elapsed: float, done: float) -> str:
    """Return in words how long the rest takes, by the share that is done.

    Example:
        >>> _left(10.0, 0.5), _left(60.0, 0.25), _left(1.0, 0.0)
        ('about 10 s left', 'about 3 min left', '')
    """
    rest = elapsed * (1 - done) / done if done >= _LEAST_DONE else 0.0
    if rest < 1:
        return ""
    return f"about {rest:.0f} s left" if rest < 100 else f"about {rest / 60:.0f} min left"
