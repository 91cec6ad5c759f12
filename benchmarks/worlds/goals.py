"""`MediaGoal`: something that users want, its full phrases, and the situations in which a brief phrase is enough."""

import json
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from itertools import product
from pathlib import Path
from typing import Any, NamedTuple

from rewriter.errors import ConfigError
from rewriter.model.hypothesis import hypothesis
from rewriter.simulation.assistants import SLOT
from rewriter.simulation.world import Around
from rewriter.text import normalise

Condition = Mapping[str, frozenset[str]]
"""Key of a context, ``device_type`` or ``after`` (intent and slots of the goal just before) -> the values that fulfil it."""


@dataclass(frozen=True, slots=True)
class MediaGoal:
    """One thing to want.

    Attributes:
        goal: the hypothesis that is wanted.
        full: phrases that mean this and nothing else.
        brief: phrases that mean this under the conditions that follow, and something else otherwise.
        when: where the brief phrases mean this; all keys must hold. Elsewhere it is hardly wanted.
        unless: where they do not; any key is enough.
        mine: whether they mean what the person likes best of all that they can mean.
        default: whether the assistant takes the brief phrases for this.
        pull: how much more than at other times it is wanted where `when` holds.
    """

    goal: str
    full: tuple[str, ...]
    brief: tuple[str, ...]
    when: Condition
    unless: Condition
    mine: bool
    default: bool
    pull: float

    def fits(self, around: Around) -> bool:
        """Return whether the moment is one in which the brief phrases mean this, taste apart."""
        values = {**around.asked, "after": around.after}

        def held(condition: Condition) -> list[bool]:
            return [str(values.get(key, "")) in fulfilling for key, fulfilling in condition.items()]

        return all(held(self.when)) and not any(held(self.unless))


class MediaGoals(NamedTuple):
    """What is wanted in a world, and what people say to call something off."""

    goals: tuple[MediaGoal, ...]
    stop: str


def read_goals(path: Path) -> MediaGoals:
    """Read goals from a file like `media.en.json`.

    Raises:
        ConfigError: the file cannot be read, or a part is missing.
    """
    try:
        data = json.loads(path.read_text(encoding="utf-8"))
        return MediaGoals(tuple(one for template in data["goals"] for one in _filled(template, data["words"])), data["stop"])
    except (OSError, ValueError, KeyError, TypeError, AttributeError) as error:
        raise ConfigError(f"cannot read goals {path}: {type(error).__name__} {error}") from error


def _filled(template: Mapping[str, Any], words: Mapping[str, list[str]]) -> Iterator[MediaGoal]:
    slots = sorted({slot for say in template["say"] for slot in SLOT.findall(say)})
    named = {slot: f"{{{slot}}}" for slot in slots}
    for filling in product(*(words[slot] for slot in slots)):
        values = dict(zip(slots, filling, strict=True))

        def texts(kind: str, values: Mapping[str, str] = values) -> tuple[str, ...]:
            return tuple(normalise(text.format(**values)) for text in template.get(kind, ()))

        def condition(kind: str, values: Mapping[str, str] = values) -> Condition:
            return {key: frozenset(v.format(**values) for v in of) for key, of in template.get(kind, {}).items()}

        yield MediaGoal(
            goal=hypothesis(template["intent"], {s: v.format(**values) for s, v in template.get("slots", named).items()}),
            full=texts("say"),
            brief=texts("brief"),
            when=condition("when"),
            unless=condition("unless"),
            mine=template.get("mine", False),
            default=template.get("default", False),
            pull=template.get("pull", 1.0),
        )
