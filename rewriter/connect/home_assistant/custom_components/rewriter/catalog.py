"""What can be said in this home, as a catalog of rewriter: sentences of the default agent with the names of the home.

`names_of` and `sentences_of` read Home Assistant in its event loop; `rows` makes the catalog of them in an executor. The
templates are those that the default agent recognises: built-in, custom sentences, and sentence triggers of automations.
"""

from __future__ import annotations

import json
import random
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from typing import Any, Final

from hassil.parse_expression import parse_sentence
from homeassistant.components import conversation
from homeassistant.components.homeassistant.exposed_entities import async_should_expose
from homeassistant.core import HomeAssistant, callback
from homeassistant.helpers import area_registry, device_registry, entity_registry, floor_registry

from .turns import slot_value

MAX_TEXTS: Final = 6_000
"""Texts of a catalog: what serving compares is computed when it opens them, about 0.2 ms each on a desktop."""
_DRAWS: Final = 30
"""Wordings that are drawn of a template, at random."""
_KEPT: Final = 5
"""Wordings of these that are kept, the shortest: templates also allow words that hardly anybody says."""
_DEEPEST: Final = 24
"""Rules within rules; deeper is a circle."""
_ATTRIBUTES = ("device_class",)  # of a state, that sentences ask for besides the domain
_KINDS = ("domain", *_ATTRIBUTES)
_PLACES = ("area", "floor")


@dataclass(frozen=True, slots=True)
class Name:
    """A word for something in the home.

    Attributes:
        said: as people say it.
        value: what the slot holds then.
        context: domain and device class of an entity.
        area: where an entity is: words for it, and what the slot holds; None for an entity without a place, and for places.
    """

    said: str
    value: str
    context: Mapping[str, Any] = field(default_factory=dict)
    area: tuple[list[str], str] | None = None


Names = Mapping[str, list[Name]]
"""Slot list (name, area, floor) -> its words."""


@dataclass(frozen=True, slots=True)
class Sentences:
    """What the default agent recognises in one language.

    Attributes:
        language: BCP 47.
        intents: `hassil.Intents` with the sentences of all intents.
        triggers: templates of automations.
    """

    language: str
    intents: Any
    triggers: list[str]


@callback
def names_of(hass: HomeAssistant) -> Names:
    """Return names and aliases of the exposed entities, and of all areas and floors."""
    entities, devices = entity_registry.async_get(hass), device_registry.async_get(hass)
    areas = {area.id: area for area in area_registry.async_get(hass).async_list_areas()}
    floors = floor_registry.async_get(hass).async_list_floors()
    names = []
    for state in hass.states.async_all():
        if not async_should_expose(hass, conversation.DOMAIN, state.entity_id):
            continue
        context = {"domain": state.domain} | {key: state.attributes[key] for key in _ATTRIBUTES if key in state.attributes}
        entry = entities.async_get(state.entity_id)
        device = devices.async_get(entry.device_id) if entry and entry.device_id else None
        area = areas.get((entry.area_id if entry else None) or (device.area_id if device else None) or "")
        place = (_words(area.name, area.aliases), area.name) if area else None
        names += [Name(word, word, context, place) for word in _words(state.name, entry.aliases if entry else ())]
    return {
        "name": names,
        "area": [Name(word, word) for area in areas.values() for word in _words(area.name, area.aliases)],
        "floor": [Name(word, floor.name) for floor in floors for word in _words(floor.name, floor.aliases)],
    }


async def sentences_of(hass: HomeAssistant, language: str) -> Sentences | None:
    """Return what the default agent recognises; None where this version of Home Assistant does not tell."""
    agent = conversation.async_get_agent(hass, conversation.HOME_ASSISTANT_AGENT)
    load = getattr(agent, "async_get_or_load_intents", None)
    loaded = None if load is None else await load(language)
    if loaded is None:
        return None
    triggers = [text for trigger in getattr(agent, "trigger_sentences", ()) for text in trigger.sentences]
    return Sentences(language, loaded.intents, triggers)


def rows(sentences: Sentences, names: Names) -> list[dict[str, Any]]:
    """Return the catalog: texts with intent and slots, at most `MAX_TEXTS`, of every intent about equally many.

    The same home gives the same catalog.

    Args:
        sentences: of one language.
        names: of the home.
    """
    drawn = [_triggers(sentences), *(_of_intent(sentences, name, names) for name in sentences.intents.intents)]
    found: dict[str, dict[str, Any]] = {}
    while drawn and len(found) < MAX_TEXTS:
        left = []
        for texts in drawn:
            row = next(texts, None)
            if row is not None:
                found.setdefault(row["text"].lower(), row)
                left.append(texts)
        drawn = left
    return list(found.values())[:MAX_TEXTS]


def _of_intent(sentences: Sentences, intent: str, names: Names) -> Iterator[dict[str, Any]]:
    """Yield texts of one intent: the shortest wording of each template with each name, then longer ones."""
    intents, seed = sentences.intents, random.Random(f"{sentences.language} {intent}")  # noqa: S311 - nobody guesses it
    known = []
    for block in intents.intents[intent].data:
        if not _is_here(block, names):
            continue
        lists, rules = {**intents.slot_lists, **block.slot_lists}, {**intents.expansion_rules, **block.expansion_rules}
        known += [(block, lists, _wordings(sentence, rules, seed)) for sentence in block.sentences]
    for nth in range(_KEPT):
        for block, lists, wordings in known:
            for name in _names_for(block, wordings[nth], names) if nth < len(wordings) else ():
                filled = _filled(wordings[nth], name, lists, names, seed)
                if filled is not None:
                    text, slots = filled
                    yield _row(text, sentences.language, intent, {**block.slots, **slots})


def _triggers(sentences: Sentences) -> Iterator[dict[str, Any]]:
    """Yield the sentences of automations; the agent names no intent for them, so the text stands for itself."""
    seed = random.Random(sentences.language)  # noqa: S311
    for template in sentences.triggers:
        for wording in _wordings(parse_sentence(template), {}, seed):
            filled = _filled(wording, None, {}, {}, seed)
            if filled is not None:
                yield {"text": filled[0], "locale": sentences.language}


def _row(text: str, language: str, intent: str, slots: Mapping[str, Any]) -> dict[str, Any]:
    told = {key: slot_value(value) for key, value in slots.items()}
    return {"text": text, "locale": language, "intent": intent, "slots": json.dumps(told, ensure_ascii=False)}


def _is_here(block: Any, names: Names) -> bool:  # noqa: ANN401
    """Return whether the home has something of the kind that a block of sentences is about, such as a lock."""
    kinds = {key: block.slots[key] for key in _KINDS if key in block.slots}
    return not kinds or any(
        all(_is(name.context.get(key), kind) for key, kind in kinds.items()) for name in names.get("name", ())
    )


def _names_for(block: Any, wording: Wording, names: Names) -> Iterable[Name | None]:  # noqa: ANN401
    """Return the entities that a wording can be about; one None for a wording without a name."""
    if not any(getattr(part, "list_name", None) == "name" for part in wording):
        return [None]
    return [
        name
        for name in names.get("name", [])
        if all(_is(name.context.get(key), value) for key, value in block.requires_context.items() if key in _KINDS)
        and not any(_is(name.context.get(key), value) for key, value in block.excludes_context.items())
    ]


def _is(value: Any, wanted: Any) -> bool:  # noqa: ANN401
    """Return whether a context value is what a block of sentences asks for, in hassil's ways to write it."""
    if isinstance(wanted, Mapping):
        wanted = wanted.get("value")
    if wanted is None:
        return value is not None
    return value in wanted if isinstance(wanted, list) else value == wanted


def _words(name: str, aliases: Iterable[Any]) -> list[str]:
    return [word for word in dict.fromkeys([name.strip(), *sorted(str(alias).strip() for alias in aliases)]) if word]


Wording = tuple[Any, ...]
"""Texts and references to slot lists, one after the other."""


def _wordings(template: Any, rules: Mapping[str, Any], seed: random.Random) -> list[Wording]:  # noqa: ANN401
    """Return the shortest of some wordings of a template."""
    drawn = {}
    for _ in range(_DRAWS):
        wording = tuple(_draw(template, rules, seed, 0))
        said = " ".join("".join(part if isinstance(part, str) else f"{{{part.list_name}}}" for part in wording).split())
        drawn.setdefault(said, wording)
    return [drawn[said] for said in sorted(drawn, key=lambda said: (len(said.split()), said))[:_KEPT]]


def _draw(node: Any, rules: Mapping[str, Any], seed: random.Random, depth: int) -> Iterator[Any]:  # noqa: ANN401
    """Yield the parts of one wording. It walks hassil's tree by what its nodes have, which is the same in hassil 2 and 3."""
    node = getattr(node, "expression", node)
    if hasattr(node, "list_name"):
        yield node
    elif hasattr(node, "rule_name"):
        if depth < _DEEPEST and node.rule_name in rules:
            yield from _draw(rules[node.rule_name], rules, seed, depth + 1)
    elif hasattr(node, "items"):
        kind = str(getattr(getattr(node, "type", None), "value", type(node).__name__)).lower()
        if kind == "alternative":
            yield from _draw(seed.choice(node.items), rules, seed, depth)
            return
        items = seed.sample(node.items, len(node.items)) if kind == "permutation" else node.items
        for item in items:
            yield from _draw(item, rules, seed, depth)
            if kind == "permutation":
                yield " "
    else:
        yield str(node.original_text)


def _filled(
    wording: Wording, name: Name | None, lists: Mapping[str, Any], names: Names, seed: random.Random
) -> tuple[str, dict[str, Any]] | None:
    """Return a wording with words of its slot lists, and the slots; None if it needs a word that nobody can list."""
    said, slots = [], {}
    for part in wording:
        if isinstance(part, str):
            said.append(part)
            continue
        found = _place(name, part.list_name, names, seed) if part.list_name in ("name", *_PLACES) else _value(part, lists, seed)
        if found is None:
            return None
        said.append(found[0])
        slots[part.slot_name] = found[1]
    text = " ".join("".join(said).split())
    return (text, slots) if text else None


def _place(name: Name | None, kind: str, names: Names, seed: random.Random) -> tuple[str, Any] | None:
    """Return a word for an entity, its own area, or any area or floor where no entity is named."""
    if kind == "name":
        return None if name is None else (name.said, name.value)
    if name is not None:
        return None if name.area is None or kind != "area" else (seed.choice(name.area[0]), name.area[1])
    known = names.get(kind, [])
    chosen = seed.choice(known) if known else None
    return None if chosen is None else (chosen.said, chosen.value)


def _value(part: Any, lists: Mapping[str, Any], seed: random.Random) -> tuple[str, Any] | None:  # noqa: ANN401
    """Return a word of any other slot list, and what the slot holds then."""
    values = lists.get(part.list_name)
    if hasattr(values, "start"):
        number = seed.randrange(values.start, values.stop + 1, values.step)
        return str(number), number
    words = getattr(values, "values", ())
    if not words:
        return None
    word = seed.choice(words)
    said = "".join(each for each in _draw(word.text_in, {}, seed, 0) if isinstance(each, str))
    return said, word.value_out
