"""`Changing`: a home that changes over time: meanings of texts change, devices arrive, a release breaks the assistant."""

from dataclasses import dataclass
from typing import Literal

import numpy as np

from rewriter.simulation.assistants import PhraseAssistant
from rewriter.simulation.channels import Heard
from rewriter.simulation.users import Behaviour, User
from rewriter.simulation.world import Withheld, World

Kind = Literal["steady", "turns", "wrong", "new"]

_THINGS = ("lamp", "heater", "radio", "fan", "kettle", "printer", "fountain", "projector", "speaker", "sprinkler", "oven", "pump")
_KINDS: tuple[Kind, ...] = ("steady", "turns", "wrong", "new")
_MOSTLY, _RARELY = 0.97, 0.03
_DRIFT = 0.05  # standard deviation of a day's step of the logarithm of a source's popularity


@dataclass(frozen=True, slots=True)
class ChangingSource:
    """Words that the assistant refuses, or takes for one thing where people may mean another.

    Attributes:
        kind: what becomes of it.
        text: the words, "turn of the lamp".
        taken: what the assistant makes of them, where it does not refuse them; people who mean that are served well as spoken.
        meant: the other goal, which a rewrite to `target` reaches.
        healthy: how people otherwise ask for `taken`.
        target: how people otherwise ask for `meant`.
    """

    kind: Kind
    text: str
    taken: str
    meant: str
    healthy: str
    target: str


class Straight:
    """A channel that hears every word."""

    def hear(self, said: str, speaker: str, rng: np.random.Generator) -> Heard:  # noqa: ARG002 - the contract of a channel
        """Return what was said."""
        return Heard(said, (said,), 1.0)


class Changing:
    """A home that changes from day to day.

    There are four kinds of source. A *steady* source is refused by the assistant, and almost everybody means
    `ChangingSource.meant` by it. A *wrong* source is understood, and almost everybody means `ChangingSource.taken` by it. A
    *turning* source is like a steady one until the day `turns`, and like a wrong one from then on, so a rewrite that was right
    becomes wrong. A *new* source is steady, and first spoken on the day `new`. From the first to the last day of `broken` the
    assistant understands no target. The frequency of each source drifts.

    Args:
        seed: of the people and the drift.
        users: how many people; each says each source about once a day.
        per_kind: sources of each kind, three at most.
        turns: on which day meanings turn.
        new: on which day new devices arrive.
        broken: first and last day of the broken release.

    Example:
        >>> home = Changing(0)
        >>> home.sources[0].text, home.world(0).assistant.understand("turn of the lamp")
        ('turn of the lamp', None)
    """

    def __init__(
        self, seed: int, *, users: int = 60, per_kind: int = 1, turns: int = 60, new: int = 40, broken: tuple[int, int] = (90, 92)
    ) -> None:
        rng = np.random.default_rng([seed, 7])
        self.sources = tuple(_source(_KINDS[i % len(_KINDS)], _THINGS[i]) for i in range(per_kind * len(_KINDS)))
        self._turns, self._new, self._broken = turns, new, broken
        self._leaning = rng.random((users, len(self.sources)))
        self._walk = _DRIFT * rng.standard_normal((2_000, len(self.sources))).cumsum(axis=0)

    def share_meant(self, source: ChangingSource, day: int) -> float:
        """Return the share of the people who mean `ChangingSource.meant` by these words on a day, 0..1."""
        if source.kind == "turns":
            return _MOSTLY if day < self._turns else _RARELY
        return _RARELY if source.kind == "wrong" else _MOSTLY

    def world(self, day: int) -> World:
        """Return the home as it is on a day, counted from 0."""
        broken = self._broken[0] <= day <= self._broken[1]
        table = {s.text: s.taken for s in self.sources if self.share_meant(s, day) < _MOSTLY}
        table |= {s.healthy: s.taken for s in self.sources}
        table |= {} if broken else {s.target: s.meant for s in self.sources}
        spoken = [k for k, s in enumerate(self.sources) if s.kind != "new" or day >= self._new]
        users = tuple(self._user(i, spoken, day) for i in range(len(self._leaning)))
        goals = {goal: phrases for user in users for goal, phrases in user.phrases.items()}
        behaviour = Behaviour(requests_per_day=float(len(spoken)), habit=0.9, follow_up=0.0, switch=0.0)
        channel, nothing = Straight(), Withheld(frozenset(), frozenset(), frozenset())
        return World("changing", "en", PhraseAssistant(table), goals, users, channel, channel, behaviour, nothing)

    def _user(self, i: int, spoken: list[int], day: int) -> User:
        phrases = {}
        for k in spoken:
            source = self.sources[k]
            means = self._leaning[i, k] < self.share_meant(source, day)
            goal, other = (source.meant, source.target) if means else (source.taken, source.healthy)
            phrases[goal] = (source.text, other)
        popular = np.exp(self._walk[day, spoken])
        order = np.argsort(-popular)
        goals = list(phrases)
        name = f"user{i:03d}"
        return User(
            user_id=name,
            speaker=name,
            goals=tuple(goals[k] for k in order),
            weights=tuple((popular[order] / popular.sum()).tolist()),
            phrases=phrases,
            room="kitchen",
            device_id=f"device{i:03d}",
        )


def _source(kind: Kind, thing: str) -> ChangingSource:
    return ChangingSource(
        kind=kind,
        text=f"turn of the {thing}",
        taken=f"On|name={thing}",
        meant=f"Off|name={thing}",
        healthy=f"turn on the {thing}",
        target=f"turn off the {thing}",
    )
