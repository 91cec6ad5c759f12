"""`Situations`: what surrounds people when they speak, what they want there, and how they say it."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Protocol

import numpy as np

from rewriter.simulation.users import User

HOUR_MS = 3_600_000


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
