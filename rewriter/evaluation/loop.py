"""`live`: simulates days of a world with a rewriter that learns every night from the turns that it served."""

import time
from collections import Counter
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import UTC, date, datetime, timedelta
from pathlib import Path
from typing import Any, Protocol

from rewriter.artefact.versions import current
from rewriter.codes import Layer, Reason, Scope
from rewriter.config import Config
from rewriter.engines import connect
from rewriter.model.detector import Detector, RuleDetector
from rewriter.offline.learn import learn
from rewriter.online.rewriter import Rewriter
from rewriter.result import Rewrite
from rewriter.simulation.dialogue import simulate_days
from rewriter.simulation.turn import Turn, write_log
from rewriter.simulation.world import Rewriting, World


class Learner(Protocol):
    """A rewriter that learns every night."""

    @property
    def rewrite(self) -> Rewriting | None:
        """Answers the requests of a day; None for no rewriting."""

    def begin(self, day: date) -> None:
        """Begin a day."""

    def learn(self, turns: Sequence[Turn]) -> None:
        """Learn from the turns of the day."""

    def served(self) -> Mapping[str, str]:
        """Return what is rewritten now: source -> target."""

    def states(self) -> Mapping[str, int]:
        """Return stage -> number of rules."""

    def scores(self) -> Mapping[tuple[str, str], float]:
        """Return (source, target) -> score of every rule under consideration."""


@dataclass(frozen=True, slots=True)
class Day:
    """The result of one day.

    Attributes:
        number: from 0.
        turns: the turns of the day.
        wins: turns that fail as spoken and succeeded as rewritten.
        losses: turns that succeed as spoken and failed as rewritten.
        served: what was rewritten on this day, source -> target.
        states: stage -> number of rules in the morning.
        scores: (source, target) -> score after learning.
        seconds: duration of learning.
    """

    number: int
    turns: Sequence[Turn]
    wins: int
    losses: int
    served: Mapping[str, str]
    states: Mapping[str, int]
    scores: Mapping[tuple[str, str], float]
    seconds: float


def live(
    home: Callable[[int], World],
    learner: Learner,
    *,
    days: int,
    start: date,
    seed: int,
    before: Mapping[int, Callable[[], None]] | None = None,
) -> Iterator[Day]:
    """Simulate days: people talk, the rewriter answers, and it learns at night.

    Args:
        home: number of a day -> the world on that day.
        learner: the rewriter.
        days: how many.
        start: the first day, UTC.
        seed: of all draws of the dialogues.
        before: number of a day -> function to call in the night before it.
    """
    for number in range(days):
        if before and number in before:
            before[number]()
        day, world = start + timedelta(days=number), home(number)
        learner.begin(day)
        served, states = dict(learner.served()), dict(learner.states())
        (turns,) = simulate_days(world, days=1, start=day, seed=seed, rewrite=learner.rewrite)
        wins, losses = _judged(world, turns)
        began = time.perf_counter()
        learner.learn(turns)
        yield Day(number, turns, wins, losses, served, states, dict(learner.scores()), time.perf_counter() - began)


def _judged(world: World, turns: Sequence[Turn]) -> tuple[int, int]:
    """Count wins and losses among the rewritten turns, by asking the assistant for the utterance as spoken."""
    wins = losses = 0
    for turn in turns:
        if turn.sent is not None:
            spoken, sent = world.assistant.understand(turn.utterance) == turn.goal, turn.hypothesis == turn.goal
            wins += sent and not spoken
            losses += spoken and not sent
    return wins, losses


@dataclass(slots=True)
class SelfAware:
    """The rewriter of this package: it learns daily, and a random part of the requests is held out. It continues an existing
    artefact.

    Args:
        folder: folder for the artefact and the logs.
        config: settings.
        detector: scores candidates; the documented rule by default, None for the best of the log.
        layers: the layers that answer; only precomputed rules by default.
    """

    folder: Path
    config: Config = field(default_factory=Config)
    detector: Detector | None = field(default_factory=RuleDetector)
    layers: Sequence[Layer | str] = (Layer.PRECOMPUTED,)
    rewrite: Rewriting | None = None
    _now: float = 0.0
    _days: int = 0

    def begin(self, day: date) -> None:
        """Begin a day: set the clock by which arms are drawn."""
        self._now = datetime(day.year, day.month, day.day, 12, tzinfo=UTC).timestamp()
        if (self.root / "CURRENT").exists():
            self.rewrite = Rewriter.open(self.root, layers=self.layers, now=lambda: self._now).rewrite

    @property
    def root(self) -> Path:
        """The artefact folder."""
        return self.folder / "artefact"

    def learn(self, turns: Sequence[Turn]) -> None:
        """Add a day."""
        log = self.folder / f"{self._days:04}.parquet"
        write_log(turns, log)
        learn([log], out=self.root, config=self.config, detector=self.detector)
        log.unlink()
        self._days += 1

    def served(self) -> Mapping[str, str]:
        """Return what is rewritten now, for everybody."""
        served = "scope = 'global' AND stage IN ('canary', 'live', 'probation')"
        return dict(self._ask(f"SELECT source, target FROM rules WHERE {served}"))

    def states(self) -> Mapping[str, int]:
        """Return how many rules for everybody are in each stage."""
        return Counter(stage for (stage,) in self._ask("SELECT stage FROM rules WHERE scope = 'global' AND stage <> ''"))

    def scores(self) -> Mapping[tuple[str, str], float]:
        """Return P(better) of rules that were tried, P(gain) of the others."""
        sql = """
            SELECT source, target, CASE WHEN tried > 0 THEN p_better ELSE COALESCE(p_gain, 0) END FROM rules
            WHERE scope = 'global' AND target <> '' AND stage <> 'retired'
        """
        return {(source, target): score for source, target, score in self._ask(sql)}

    def _ask(self, sql: str) -> list[tuple[Any, ...]]:
        if not (self.root / "CURRENT").exists():
            return []
        with connect(rules=current(self.root).state / "rules.parquet") as con:
            return con.execute(sql).fetchall()


class NoRewriting:
    """A learner that rewrites nothing, as the baseline."""

    rewrite: Rewriting | None = None

    def begin(self, day: date) -> None:
        """Begin a day."""

    def learn(self, turns: Sequence[Turn]) -> None:
        """Learn nothing."""

    def served(self) -> Mapping[str, str]:
        """Return nothing."""
        return {}

    def states(self) -> Mapping[str, int]:
        """Return nothing."""
        return {}

    def scores(self) -> Mapping[tuple[str, str], float]:
        """Return nothing."""
        return {}


def answer(utterance: str, target: str | None) -> Rewrite:
    """Return what `Rewriter.rewrite` would return for a rule without a name, or for none."""
    applied = target is not None
    return Rewrite(
        id="",
        source=utterance,
        text=utterance if target is None else target,
        applied=applied,
        layer=Layer.PRECOMPUTED if applied else None,
        scope=Scope.GLOBAL if applied else None,
        reason=Reason.RULE if applied else Reason.NO_RULE,
        score=None,
        suggestion=None,
        candidates=(),
        rule=None,
        arm=None,
        propensity=None,
        artefact="",
    )
