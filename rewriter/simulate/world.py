"""`World`: an assistant, what people want of it, how they are heard; and `Request`, one wish to be judged."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Protocol

from rewriter.result import Rewrite
from rewriter.simulate.assistants import Assistant
from rewriter.simulate.channels import Channel
from rewriter.simulate.users import Behaviour, User


class Rewriting(Protocol):
    """A rewriting function; `Rewriter.rewrite` is one."""

    def __call__(
        self,
        utterance: str,
        *,
        user_id: str | None = None,
        locale: str | None = None,
        nbest: tuple[str, ...] = (),
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
        context: hour, room and the like; scalars.
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
