"""A world: an assistant, people with goals, their situations and a speech channel; and one request to be judged."""

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
"""Number of draws after which a turn or a request is left out, because the world has no more recordings of it."""


@dataclass(frozen=True, slots=True)
class Around:
    """The situation of one request.

    Attributes:
        device_id: id of the device.
        device_type: type of the device.
        context: context of the log contract: reserved keys, scalars.
        after: truth: goal of the previous turn of this person, if that was just before; else empty.
    """

    device_id: str
    device_type: str
    context: Mapping[str, str | int]
    after: str = ""

    @property
    def asked(self) -> dict[str, str | int]:
        """The context that a rewriter gets, with the type of the device as one of its keys."""
        return {**self.context, "device_type": self.device_type}


@dataclass(frozen=True, slots=True)
class Before:
    """The previous turn of the same person: its goal and the text heard."""

    goal: str
    heard: str


class Situations(Protocol):
    """Decides where people are when they speak, and how that changes goals and phrases."""

    matter: bool
    """Whether goals depend on the situation; if not, the hour of a request is drawn after its goal."""

    def around(self, user: User, ts_ms: int, before: Before | None) -> Around:
        """Return the situation of a person at a time (epoch milliseconds); the same arguments give the same result."""

    def pick(self, user: User, around: Around, rng: np.random.Generator) -> str:
        """Draw a goal."""

    def phrase(self, user: User, goal: str, around: Around, habit: float, rng: np.random.Generator) -> str:
        """Draw the first phrase for a goal; `habit` is that of `Behaviour`."""

    def otherwise(self, user: User, goal: str, said: str, rng: np.random.Generator) -> str:
        """Draw another phrase after a failure."""


class Anywhere:
    """One device in one room; goals and phrases do not depend on the situation."""

    matter = False

    def around(self, user: User, ts_ms: int, before: Before | None) -> Around:  # noqa: ARG002 - a person has one device
        """Return the hour, and the room of the only device of the person."""
        return Around(user.device_id, "speaker", {"hour": ts_ms // HOUR_MS % 24, "room": user.room})

    def pick(self, user: User, around: Around, rng: np.random.Generator) -> str:  # noqa: ARG002
        """Draw from the goals of the person."""
        return user.pick(rng)

    def phrase(self, user: User, goal: str, around: Around, habit: float, rng: np.random.Generator) -> str:  # noqa: ARG002
        """Draw from the phrases of the person."""
        return user.phrase(goal, habit, rng)

    def otherwise(self, user: User, goal: str, said: str, rng: np.random.Generator) -> str:
        """Draw another phrase of the person; the same if there is no other."""
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
    """One request as it first reaches the assistant, with its true goal.

    Attributes:
        user_id: id of the user.
        ts_ms: time, epoch milliseconds UTC.
        locale: BCP 47.
        goal: the hypothesis that the user wants.
        said: the phrase as said.
        heard: the text that the channel returns.
        nbest: all hearings, best first.
        confidence: confidence of the channel in `heard`, 0..1.
        context: hour, room, device_type and the like; scalars.
        known_user: whether turns of this user may be in the log.
        known_phrase: whether `said` may be in the log; False if the goal is unknown.
        known_goal: whether the goal may be in the log.
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
class Withheld:
    """What is withheld from the log and still judged.

    Attributes:
        users: user ids.
        phrases: phrases, those of the withheld goals included.
        goals: goals.
    """

    users: frozenset[str]
    phrases: frozenset[str]
    goals: frozenset[str]


@dataclass(frozen=True, slots=True)
class World:
    """A place where people talk to an assistant.

    Attributes:
        name: name in tables and reports.
        locale: BCP 47 locale of its log.
        assistant: the NLU.
        goals: goal -> its phrases. A goal is the hypothesis of the assistant, without injected errors, for each phrase.
        users: all users, those withheld from the log included.
        channel: speech channel of the log.
        judging: speech channel of the requests to be judged. It differs from `channel` only if recordings are kept back.
        behaviour: parameters of how people act.
        split: what is withheld from the log.
        stop: phrase that stops an action; None if nobody says one.
        situations: where people are when they speak.
    """

    name: str
    locale: str
    assistant: Assistant
    goals: Mapping[str, tuple[str, ...]]
    users: tuple[User, ...]
    channel: Channel
    judging: Channel
    behaviour: Behaviour
    split: Withheld
    stop: str | None = None
    situations: Situations = field(default_factory=Anywhere)

    def logged(self, user: User) -> User | None:
        """Return the person without what is withheld from the log; None if nothing is left."""
        return None if user.user_id in self.split.users else user.without(self.split.goals, self.split.phrases)


def split_of(
    goals: Mapping[str, tuple[str, ...]],
    users: Sequence[User],
    *,
    seed: int,
    user_share: float = 0.2,
    phrase_share: float = 0.2,
    goal_share: float = 0.1,
) -> Withheld:
    """Draw what the log withholds.

    Popular and rare goals and phrases are withheld equally often: they are sorted by use and cut into runs, and one is drawn from
    each run.
    A goal that stays keeps at least one phrase. People who share a voice are withheld together.

    Args:
        goals: goal -> phrases.
        users: all users.
        seed: of the draw.
        user_share: share of the voices.
        phrase_share: share of the phrases of goals that stay.
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
    return Withheld(
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
