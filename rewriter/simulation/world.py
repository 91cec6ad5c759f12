"""A world: an assistant, what people want of it, where they are, and how they are heard; and one request to be judged."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import UTC, date, datetime
from itertools import pairwise
from typing import Any, Protocol, TypeVar

import numpy as np

from rewriter.result import Rewrite
from rewriter.simulation.assistants import Assistant
from rewriter.simulation.channels import Channel
from rewriter.simulation.users import Behaviour, User, shares_said

T = TypeVar("T")

HOUR_MS = 3_600_000
TRIES = 8
"""Draws that are tried before a turn or a request is left out, because the world has nothing more to hear."""


@dataclass(frozen=True, slots=True)
class Around:
    """What surrounds one request.

    Attributes:
        device_id: the device that is spoken to.
        device_type: what it is.
        context: what the assistant knows of the moment, in the reserved keys of the log contract; scalars.
        after: truth: the goal of the person's turn just before; empty for none.
    """

    device_id: str
    device_type: str
    context: Mapping[str, str | int]
    after: str = ""

    @property
    def asked(self) -> dict[str, str | int]:
        """The context as a rewriter is asked with: the device is one of its keys."""
        return {**self.context, "device_type": self.device_type}


@dataclass(frozen=True, slots=True)
class Before:
    """A turn of the same person just before: the goal it had, and what was heard."""

    goal: str
    heard: str


class Situations(Protocol):
    """Where people are when they speak, and what that does to their wishes and words."""

    matter: bool
    """Whether wishes depend on them; if not, the hour of a wish to be judged is drawn after the wish."""

    def around(self, user: User, ts_ms: int, before: Before | None) -> Around:
        """Return what surrounds a person at a time, epoch milliseconds; the same whenever it is asked."""

    def pick(self, user: User, around: Around, rng: np.random.Generator) -> str:
        """Draw what a person wants."""

    def phrase(self, user: User, goal: str, around: Around, habit: float, rng: np.random.Generator) -> str:
        """Draw how a person asks for it first; `habit` is that of `Behaviour`."""

    def otherwise(self, user: User, goal: str, said: str, rng: np.random.Generator) -> str:
        """Draw how a person says it differently once it has failed."""


class Anywhere:
    """One device in one room; wishes and words do not depend on the moment."""

    matter = False

    def around(self, user: User, ts_ms: int, before: Before | None) -> Around:  # noqa: ARG002 - a person has one device
        """Return the hour and the room of the person's only device."""
        return Around(user.device_id, "speaker", {"hour": ts_ms // HOUR_MS % 24, "room": user.room})

    def pick(self, user: User, around: Around, rng: np.random.Generator) -> str:  # noqa: ARG002
        """Draw from the person's wishes."""
        return user.pick(rng)

    def phrase(self, user: User, goal: str, around: Around, habit: float, rng: np.random.Generator) -> str:  # noqa: ARG002
        """Draw from the person's phrases."""
        return user.phrase(goal, habit, rng)

    def otherwise(self, user: User, goal: str, said: str, rng: np.random.Generator) -> str:
        """Draw another of the person's phrases, the same again where there is no other."""
        others = [p for p in user.phrases[goal] if p != said]
        return others[int(rng.random() * len(others))] if others else said


class Rewriting(Protocol):
    """A rewriting function; `Rewriter.rewrite` is one."""

    def __call__(
        self,
        utterance: str,
        *,
        user_id: str | None = None,
        locale: str | None = None,
        nbest: Sequence[str] = (),
        context: Mapping[str, Any] | None = None,
        after_failure: bool = False,
    ) -> Rewrite:
        """Return what to send to the assistant instead of `utterance`."""


@dataclass(frozen=True, slots=True)
class Request:
    """One wish as it reaches the assistant for the first time, with the truth beside it.

    Attributes:
        user_id: who speaks.
        ts_ms: when, epoch milliseconds UTC.
        locale: BCP 47.
        goal: the hypothesis that the user wants.
        said: the phrase that left the mouth.
        heard: what the channel made of it.
        nbest: all hearings, best first.
        confidence: the channel's belief in `heard`, 0..1.
        context: hour, room, device_type and the like; scalars.
        known_user: whether this user's turns may be in the log.
        known_phrase: whether `said` may be said in the log; always False where the goal is unknown.
        known_goal: whether anybody wants this in the log.
    """

    user_id: str
    ts_ms: int
    locale: str
    goal: str
    said: str
    heard: str
    nbest: tuple[str, ...]
    confidence: float
    context: Mapping[str, Any]
    known_user: bool
    known_phrase: bool
    known_goal: bool


@dataclass(frozen=True, slots=True)
class Split:
    """What never enters the log and is judged all the same.

    Attributes:
        users: user ids.
        phrases: phrases; those of the goals below among them.
        goals: goals that nobody asks for in the log.
    """

    users: frozenset[str]
    phrases: frozenset[str]
    goals: frozenset[str]


@dataclass(frozen=True, slots=True)
class World:
    """Everything about a place where people talk to an assistant.

    Attributes:
        name: says which world this is in tables and reports.
        locale: BCP 47 locale of its log.
        assistant: the NLU.
        goals: what can be wanted -> the phrases that ask for it. A goal is the hypothesis that the assistant, free of
            injected errors, gives each of the phrases.
        users: everybody, those withheld from the log too.
        channel: how the turns of the log are heard.
        judging: how the requests to be judged are heard; the same channel except where recordings are kept back.
        behaviour: how people act.
        split: what is withheld from the log.
        stop: what people say to call something off; None where nobody does.
        situations: where people are when they speak, and what that does to their wishes and words.
    """

    name: str
    locale: str
    assistant: Assistant
    goals: Mapping[str, tuple[str, ...]]
    users: tuple[User, ...]
    channel: Channel
    judging: Channel
    behaviour: Behaviour
    split: Split
    stop: str | None = None
    situations: Situations = field(default_factory=Anywhere)

    def logged(self, user: User) -> User | None:
        """Return what of a person the log may show, None where that is nothing."""
        return None if user.user_id in self.split.users else user.without(self.split.goals, self.split.phrases)


def split_of(
    goals: Mapping[str, tuple[str, ...]],
    users: Sequence[User],
    *,
    seed: int,
    user_share: float = 0.2,
    phrase_share: float = 0.2,
    goal_share: float = 0.1,
) -> Split:
    """Draw what the log withholds.

    Popular and rare goals and phrases are withheld alike: one is drawn from each run of neighbours in the order of how often
    they are used. A goal that stays keeps at least one phrase. People who share a voice are withheld together.

    Args:
        goals: goal -> phrases.
        users: everybody.
        seed: of the draw.
        user_share: share of the voices.
        phrase_share: share of the phrases of goals that stay, as far as each keeps one.
        goal_share: share of the goals.
    """
    rng = np.random.default_rng([seed, 3])
    said = shares_said(users, habit=1.0)
    voices = sorted({u.speaker for u in users})
    by_use = sorted(goals, key=lambda goal: (-sum(said.get(phrase, 0.0) for phrase in goals[goal]), goal))
    gone = set(spread(by_use, goal_share, rng))
    left = {goal: len(phrases) for goal, phrases in goals.items()}
    every = [(said.get(phrase, 0.0), phrase, goal) for goal in goals if goal not in gone for phrase in goals[goal]]
    phrases = [(phrase, goal) for _, phrase, goal in sorted(every, key=lambda each: (-each[0], each[1]))]
    first = spread(phrases, phrase_share, rng)
    others = [phrases[i] for i in rng.permutation(len(phrases)) if phrases[i] not in set(first)]
    withheld: set[str] = set()
    for phrase, goal in (*first, *others):
        if len(withheld) < len(first) and left[goal] > 1:
            left[goal] -= 1
            withheld.add(phrase)
    silent = {voices[i] for i in rng.permutation(len(voices))[: round(user_share * len(voices))]}
    return Split(
        users=frozenset(u.user_id for u in users if u.speaker in silent),
        phrases=frozenset(withheld.union(*(goals[goal] for goal in gone))),
        goals=frozenset(gone),
    )


def spread(things: Sequence[T], share: float, rng: np.random.Generator) -> list[T]:
    """Draw one thing from each of the runs of neighbours into which a sequence is cut."""
    runs = round(share * len(things))
    cuts = np.linspace(0, len(things), runs + 1).astype(int).tolist()
    return [things[int(rng.integers(low, high))] for low, high in pairwise(cuts)]


def midnight_ms(day: date) -> int:
    """Return the beginning of a day, epoch milliseconds UTC."""
    return int(datetime(day.year, day.month, day.day, tzinfo=UTC).timestamp() * 1000)
